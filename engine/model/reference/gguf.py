"""Turns a GGUF file into a folder that `from_pretrained` accepts; knows nothing of where files come from or go.

transformers reads GGUF slowly (15 s and more for 135M parameters), so a file is converted once: weights
dequantised to float32 in safetensors, and the tokenizer as tokenizer.json.
GGUF: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from typing import TYPE_CHECKING, Any

import torch
from gguf import GGUFReader
from safetensors import SafetensorError
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from engine.errors import ModelCorruptError, UnsupportedModelError
from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

# What each `tokenizer.ggml.pre` means, where transformers' converter loses it. "smollm" splits digits one by one
# before the byte-level regex of GPT-2 (llama.cpp, LLAMA_VOCAB_PRE_TYPE_SMOLLM).
_LOST_PRE_TOKENIZERS = {
    "smollm": lambda: pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    ),
}
# GGUF's names of families, where transformers' differ.
_FAMILIES = {"gemma3": "gemma3_text"}
_STEPS = 3


def convert_gguf(
    gguf_file: Path, folder: Path, *, supported: Collection[str], progress: ProgressSink = no_progress
) -> None:
    """Writes weights (float32), configuration and tokenizer of `gguf_file` into `folder`.

    Args:
        gguf_file: The file to read.
        folder: Where to write; created when missing.
        supported: Families that may be converted, as transformers names them.
        progress: Told of each of the three steps.

    Raises:
        ModelCorruptError: If the file is not GGUF, or cut short.
        UnsupportedModelError: If its family is not among `supported`.
        OSError: If `folder` cannot be written, such as on a full disk.
    """
    with _quiet():
        family, pre_tokenizer = _read_header(gguf_file)
        if family not in supported:
            known = ", ".join(sorted(supported))
            raise UnsupportedModelError(
                f"{gguf_file.name} holds a model of the family '{family}', which is not supported; "
                f"the supported families are {known}."
            )
        progress("Converting the tokenizer", 0, _STEPS)
        tokenizer = _load_tokenizer(gguf_file, pre_tokenizer)
        progress("Converting the weights", 1, _STEPS)
        model = _load_model(gguf_file)
        progress("Writing the converted model", 2, _STEPS)
        tokenizer.save_pretrained(folder)
        _save_model(model, folder)
        progress("Model converted", _STEPS, _STEPS)


def _read_header(gguf_file: Path) -> tuple[str, str | None]:
    """The family and the name of the pre-tokenizer; every tensor must lie within the file."""
    try:
        fields = GGUFReader(gguf_file).fields
        architecture: str = fields["general.architecture"].contents()
    except (ValueError, IndexError, KeyError, EOFError) as error:
        raise ModelCorruptError(f"{gguf_file.name} is not a whole GGUF file.") from error
    name = fields.get("tokenizer.ggml.pre")
    return _FAMILIES.get(architecture, architecture), None if name is None else name.contents()


def _load_tokenizer(gguf_file: Path, pre_tokenizer: str | None) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name, local_files_only=True)
    if pre_tokenizer in _LOST_PRE_TOKENIZERS:
        tokenizer.backend_tokenizer.pre_tokenizer = _LOST_PRE_TOKENIZERS[pre_tokenizer]()
    return tokenizer


def _load_model(gguf_file: Path) -> Any:
    model = AutoModelForCausalLM.from_pretrained(
        gguf_file.parent, gguf_file=gguf_file.name, dtype=torch.float32, local_files_only=True
    )
    # The weights are plain float32 by now, but the model still calls itself quantised and refuses to be saved.
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    return model


def _save_model(model: Any, folder: Path) -> None:
    try:
        model.save_pretrained(folder)
    except SafetensorError as error:  # a failed write, with the system's reason in the text only
        code = re.search(r"os error (\d+)", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1]))) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps transformers' bars and warnings off the terminal, where they would cut through our own."""
    verbosity = transformers_logging.get_verbosity()
    had_bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # its GGUF reader writes a tqdm bar without asking
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if had_bars:
            transformers_logging.enable_progress_bar()
