"""Turns a GGUF file into a folder that `from_pretrained` accepts; knows nothing of where files come from or go.

transformers reads GGUF slowly (in four seconds for 135M parameters), so a file is converted once: weights
dequantised to float32 in safetensors, and the tokenizer as tokenizer.json.
GGUF: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import contextlib
import io
from functools import cache
from typing import TYPE_CHECKING, Any

import gguf
import torch
from safetensors import SafetensorError
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.errors import ModelCorruptError
from engine.files import disk_error
from engine.model.families import refuse_other_gguf
from engine.model.reference.silence import silenced
from engine.sentences import Sentence
from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
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
_STEPS = 3


def convert_gguf(gguf_file: Path, folder: Path, *, progress: ProgressSink = no_progress) -> None:
    """Writes weights (float32), configuration and tokenizer of `gguf_file` into `folder`.

    Args:
        gguf_file: The file to read.
        folder: Where to write; created when missing.
        progress: Is called for each of the three steps.

    Raises:
        ModelCorruptError: If the file is not GGUF, or cut short.
        UnsupportedModelError: If its family is not supported.
        OSError: If `folder` cannot be written, such as on a full disk.
    """
    # Its GGUF reader writes a tqdm bar without asking.
    with silenced(), _read_once(), contextlib.redirect_stderr(io.StringIO()):
        architecture, pre_tokenizer = _read_header(gguf_file)
        refuse_other_gguf(architecture, Sentence("The model in {folder}", folder=gguf_file.name))
        progress(Sentence("Converting the tokenizer"), 0, _STEPS)
        tokenizer = _load_tokenizer(gguf_file, pre_tokenizer)
        progress(Sentence("Converting the weights"), 1, _STEPS)
        model = _load_model(gguf_file)
        progress(Sentence("Writing the converted model"), 2, _STEPS)
        tokenizer.save_pretrained(folder)
        _save_model(model, folder)
        progress(Sentence("Model converted"), _STEPS, _STEPS)


@contextlib.contextmanager
def _read_once() -> Iterator[None]:
    """Keeps what transformers reads anew for each of its parts, and the names that it lists anew for each module."""
    names = ("GGUFReader", "get_tensor_name_map")  # it asks for both only when it needs them
    before = {name: getattr(gguf, name) for name in names}
    try:
        for name in names:
            setattr(gguf, name, cache(before[name]))
        yield
    finally:
        for name in names:
            setattr(gguf, name, before[name])


def _read_header(gguf_file: Path) -> tuple[str, str | None]:
    """The family and the name of the pre-tokenizer; every tensor must lie within the file."""
    try:
        fields = gguf.GGUFReader(str(gguf_file)).fields
        architecture: str = fields["general.architecture"].contents()
    except (ValueError, IndexError, KeyError, EOFError) as error:
        raise ModelCorruptError(Sentence("{name} is not a whole GGUF file.", name=gguf_file.name)) from error
    name = fields.get("tokenizer.ggml.pre")
    return architecture, None if name is None else name.contents()


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
        raise disk_error(error) or error from error
