"""Whether a folder holds a model that can be loaded: told in a sentence before any library reads it.

Knows nothing of where the folder comes from. Reads the configuration and the heads of the weights; runs nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from engine.errors import ModelCorruptError, ModelNotFoundError, UnsupportedModelError
from engine.model.families import refuse_other_layers, supported_family
from engine.model.sources.tensors import check_tensors
from engine.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TOKENIZERS = (("tokenizer.json",), ("tokenizer.model",), ("vocab.json", "merges.txt"))
_SIZES = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "vocab_size"),
    *("intermediate_size", "shared_intermediate_size", "ffn_dim", "word_embed_proj_dim", "max_position_embeddings"),
)
_MOST = 1 << 31  # of any size
_MOST_LAYERS = 1000  # ten times those of the deepest models
_LEAST_POSITIONS = 2  # a token, and the one behind it


def check_folder(folder: Path) -> None:
    """Checks that a folder holds a model that can be loaded.

    Raises:
        ModelNotFoundError: If there is no such folder, or no model in it.
        ModelCorruptError: If its configuration, tokenizer or weights are not whole, or not of one model.
        UnsupportedModelError: If its family is not supported, or its own code would have to run.
    """
    settings = check_configuration(folder)
    if not has_weights(folder):
        raise ModelCorruptError(Sentence("The model in {folder} lacks its weights, or part of them.", folder=folder))
    if not has_tokenizer(folder):
        raise ModelCorruptError(
            Sentence("The model in {folder} lacks its tokenizer: there is no tokenizer.json.", folder=folder)
        )
    try:
        check_tensors(folder, settings)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ModelCorruptError(
            Sentence("The weights in {folder} cannot be read: {reason}.", folder=folder, reason=reason)
        ) from error


def check_configuration(folder: Path) -> Mapping[str, Any]:
    """Checks what config.json says of a model, and gives it.

    Raises:
        ModelNotFoundError: If there is no such folder, or no model in it.
        ModelCorruptError: If it cannot be read, or makes no sense.
        UnsupportedModelError: If such a model is not supported.
    """
    if not folder.is_dir():
        raise ModelNotFoundError(Sentence("There is no folder {folder}.", folder=folder))
    if not (folder / "config.json").is_file():
        if gguf_file := next(iter(sorted(folder.glob("*.gguf"))), None):
            raise ModelNotFoundError(
                Sentence(
                    "The folder {folder} has no config.json; name its file {file} itself.",
                    folder=folder,
                    file=gguf_file,
                )
            )
        raise ModelNotFoundError(Sentence("There is no model in {folder}: it has no config.json.", folder=folder))
    settings, subject = settings_of(folder), Sentence("The model in {folder}", folder=folder)
    family = settings.get("model_type")
    if not isinstance(family, str):
        raise ModelCorruptError(Sentence("{folder} does not describe a model.", folder=folder / "config.json"))
    supported_family(family, subject)
    refuse_other_layers(settings, subject)
    if settings.get("auto_map"):
        raise UnsupportedModelError(
            Sentence("{subject} brings code of its own (auto_map in config.json), which is never run.", subject=subject)
        )
    if settings.get("quantization_config"):
        raise UnsupportedModelError(
            Sentence("{subject} is quantised already; take the one that it was made from.", subject=subject)
        )
    _check_sizes(settings, subject)
    return settings


def has_weights(folder: Path) -> bool:
    """Whether one file holds the weights, or an index names shards that are all there."""
    return any(
        (folder / single).is_file() or _has_shards(folder, folder / f"{single}.index.json")
        for single in ("model.safetensors", "pytorch_model.bin")
    )


def has_tokenizer(folder: Path) -> bool:
    """Whether the files of a tokenizer are there."""
    return any(all((folder / name).is_file() for name in names) for names in _TOKENIZERS)


def settings_of(folder: Path) -> dict[str, Any]:
    """What config.json says; nothing where it cannot be read."""
    try:
        settings = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return settings if isinstance(settings, dict) else {}


def _check_sizes(settings: Mapping[str, Any], subject: str) -> None:
    for name in _SIZES:
        value = settings.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < _MOST:
            raise ModelCorruptError(
                Sentence(
                    "{subject} is said to have {name} = {value!r}, which is no size.",
                    subject=subject,
                    name=name,
                    value=str(value)[:40],
                )
            )
    n_layers, positions = settings.get("num_hidden_layers"), settings.get("max_position_embeddings")
    if n_layers is not None and n_layers > _MOST_LAYERS:
        raise ModelCorruptError(
            Sentence(
                "{subject} is said to have {n_layers:,} layers, which no model has.", subject=subject, n_layers=n_layers
            )
        )
    if positions is not None and positions < _LEAST_POSITIONS:
        raise ModelCorruptError(
            Sentence(
                "{subject} has room for {positions} token, which is too little to complete anything.",
                subject=subject,
                positions=positions,
            )
        )
    width, heads = settings.get("hidden_size"), settings.get("num_attention_heads")
    kv_heads = settings.get("num_key_value_heads") or heads
    if heads and width and not settings.get("head_dim") and width % heads:
        raise ModelCorruptError(
            Sentence(
                "{subject} is said to be {width} wide with {heads} heads, which do not divide it.",
                subject=subject,
                width=width,
                heads=heads,
            )
        )
    if heads and heads % kv_heads:
        raise ModelCorruptError(
            Sentence(
                "{subject} is said to have {heads} heads for {kv_heads} of keys: no multiple.",
                subject=subject,
                heads=heads,
                kv_heads=kv_heads,
            )
        )


def _has_shards(folder: Path, index: Path) -> bool:
    try:
        shards = json.loads(index.read_bytes())["weight_map"].values()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return bool(shards) and all(isinstance(shard, str) and (folder / shard).is_file() for shard in set(shards))
