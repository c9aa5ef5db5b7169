"""llama.cpp as a peer in speed: the same weights, token by token. Its Python package is only needed here.

Times are of its C library's `decode`, driven by the thin Python wrapper that its users have; it samples nothing here.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from engine.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_FILE_TYPES = {"int8": ("Q8_0", 7), "int4": ("Q4_0", 2)}  # names and numbers of llama.cpp's own
_BATCH = 512


def is_installed() -> bool:
    """Whether the package `llama-cpp-python` can be imported."""
    try:
        import llama_cpp  # noqa: F401
    except (ImportError, OSError, RuntimeError):  # it raises what its shared libraries raise
        return False
    return True


class LlamaCpp:
    """One model in llama.cpp on a number of threads."""

    def __init__(self, gguf_file: Path, *, threads: int, max_positions: int) -> None:
        import llama_cpp

        self.name = f"llama.cpp {gguf_file.stem}, {threads} {'thread' if threads == 1 else 'threads'}"
        self._model: Any = llama_cpp.Llama(
            str(gguf_file),
            n_ctx=max_positions,
            n_threads=threads,
            n_threads_batch=threads,
            n_batch=_BATCH,
            verbose=False,
        )

    def prefill(self, token_ids: Sequence[int]) -> None:
        """Reads a prompt from an empty cache."""
        self._model.reset()
        self._model.eval(list(token_ids))

    def step(self, token_id: int) -> None:
        """Computes the logits behind one more token."""
        self._model.eval([token_id])


def quantized(gguf_file: Path, precision: str, folder: Path) -> Path:
    """The same weights at the bits of `precision`, by llama.cpp's own quantiser.

    Raises:
        ConfigError: If it refuses the file.
    """
    import llama_cpp

    name, file_type = _FILE_TYPES[precision]
    target = folder / f"{name}.gguf"
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype, parameters.allow_requantize = file_type, True
    failed = llama_cpp.llama_model_quantize(str(gguf_file).encode(), str(target).encode(), ctypes.byref(parameters))
    if failed:
        raise ConfigError(f"llama.cpp cannot bring the file {gguf_file} to {name}.")
    return target
