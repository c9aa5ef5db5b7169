"""The tensors of a folder by the heads of its files: what there is, in which shape, and whether that is the model.

Nothing of the weights themselves is read, and nothing pickled is run. Knows no torch.
"""

from __future__ import annotations

import json
import re
import struct
from typing import TYPE_CHECKING, Any

from engine.errors import ModelCorruptError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Shape = tuple[int, ...]

_LENGTH_BYTES = 8  # of the head's length, before it
_MOST_HEAD_BYTES = 100_000_000  # safetensors' own limit
_PICKLED_BY_TORCH = re.compile(r"torch(\._utils)? \w+|collections OrderedDict|torch\.storage \w+")
_PREFIX = re.compile(r"^(model\.)?(decoder\.)?")


def check_tensors(folder: Path, settings: Mapping[str, Any]) -> None:
    """Checks that the files hold what the configuration says; of pickled ones, that they hold tensors alone.

    Args:
        folder: The folder with the files.
        settings: What config.json says.

    Raises:
        ModelCorruptError: If they do not.
    """
    pickled = sorted(folder.glob("pytorch_model*.bin"))
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        for path in pickled:
            _check_pickled(path)
        return
    shapes = {_PREFIX.sub("", name): shape for path in files for name, shape in _shapes(path).items()}
    for name, expected in _expected(settings):
        found = shapes.get(name)
        if found is None:
            raise ModelCorruptError(f"The weights in {folder} lack '{name}', which the model in config.json has.")
        if found != expected:
            raise ModelCorruptError(
                f"'{name}' in {folder} is {_words(found)}, and {_words(expected)} by config.json: one of them is "
                "another model's."
            )
    layers = {int(found[1]) for found in map(re.compile(r"layers\.(\d+)\.").match, shapes) if found}
    n_layers = settings.get("num_hidden_layers")
    if isinstance(n_layers, int) and layers and max(layers) >= n_layers:
        raise ModelCorruptError(
            f"The weights in {folder} are of {max(layers) + 1} layers, and config.json says {n_layers}."
        )


def _shapes(path: Path) -> dict[str, Shape]:
    """The shapes in a safetensors file, every byte of which must be there."""
    try:
        with path.open("rb") as file:
            (n_bytes,) = struct.unpack("<Q", file.read(_LENGTH_BYTES))
            head = json.loads(file.read(min(n_bytes, _MOST_HEAD_BYTES)))
        tensors = {name: entry for name, entry in head.items() if name != "__metadata__"}
        end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
        shapes = {name: tuple(map(int, entry["shape"])) for name, entry in tensors.items()}
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ModelCorruptError(f"{path} is not a whole file of weights; fetch it again.") from error
    missing = _LENGTH_BYTES + n_bytes + end - path.stat().st_size
    if missing > 0:
        raise ModelCorruptError(f"{path} lacks its last {missing:,} bytes; fetch it again.")
    return shapes


def _expected(settings: Mapping[str, Any]) -> Iterator[tuple[str, Shape]]:
    """The tensors that must be there, as far as the configuration gives their sizes."""
    width, heads = settings.get("hidden_size"), settings.get("num_attention_heads")
    vocabulary, n_layers = settings.get("vocab_size"), settings.get("num_hidden_layers")
    if not (width and heads and vocabulary and n_layers):
        return  # transformers has defaults for them
    family = settings.get("model_type")
    embedded = settings.get("word_embed_proj_dim") or width
    head_dim = settings.get("head_dim") or (width // heads if family != "gemma3_text" else 256)
    queries = heads * head_dim
    kv_heads = settings.get("num_key_value_heads") or (1 if family == "gemma3_text" else heads)
    yield "embed_tokens.weight", (vocabulary, embedded)
    products: dict[str, Shape] = {"q_proj": (queries, width), "k_proj": (kv_heads * head_dim, width)}
    products |= {"v_proj": products["k_proj"], "out_proj" if family == "opt" else "o_proj": (width, queries)}
    if family == "qwen3" and not settings.get("head_dim"):
        products = {}  # its default is no share of the width
    for idx in range(n_layers):
        for name, shape in products.items():
            yield f"layers.{idx}.self_attn.{name}.weight", shape
        for name, shape in _mlp(settings, width):
            yield f"layers.{idx}.{name}.weight", shape


def _mlp(settings: Mapping[str, Any], width: int) -> Iterator[tuple[str, Shape]]:
    family = settings.get("model_type")
    key = {"granitemoehybrid": "shared_intermediate_size", "opt": "ffn_dim"}.get(str(family), "intermediate_size")
    inner = settings.get(key)
    if not inner:
        return
    names: dict[str, tuple[tuple[str, ...], str, int]] = {
        "granitemoehybrid": (("shared_mlp.input_linear",), "shared_mlp.output_linear", 2),
        "starcoder2": (("mlp.c_fc",), "mlp.c_proj", 1),
        "opt": (("fc1",), "fc2", 1),
    }
    ups, down, times = names.get(str(family), (("mlp.gate_proj", "mlp.up_proj"), "mlp.down_proj", 1))
    for up in ups:
        yield up, (times * inner, width)
    yield down, (width, inner)


def _check_pickled(path: Path) -> None:
    """Checks that a file of pickled weights makes tensors and nothing else, without running it."""
    import zipfile  # hardly a model is pickled

    try:
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            asked = list(_globals(archive.read(name)))
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise ModelCorruptError(
            f"{path} is a pickled file of a kind that cannot be checked; take the model's safetensors."
        ) from error
    for found in asked:
        if not _PICKLED_BY_TORCH.fullmatch(found):
            raise ModelCorruptError(
                f"{path} would run '{found.replace(' ', '.')}' when it is read, which no weights need: it is not read."
            )


def _globals(pickled: bytes) -> Iterator[str]:
    """What a pickled object asks to be imported, as "module name"."""
    import pickletools

    texts: list[str] = []
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "GLOBAL":
            yield str(argument)
        elif opcode.name == "STACK_GLOBAL":
            yield " ".join(texts[-2:])
        elif isinstance(argument, str):
            texts.append(argument)


def _words(shape: Shape) -> str:
    return " x ".join(map(str, shape))
