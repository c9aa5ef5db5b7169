"""What a model that was prepared for the fast CPU runners looks like on disk: names of files, sizes, its own name.

Its folder is named by what it was made from, so that a start needs neither transformers nor the original weights: these
are compared by name, size and time, trained exits by a sample. Reads records, no weights; imports no runtime.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cattrs

from engine import config
from engine.errors import ModelCorruptError, UnsupportedModelError
from engine.model.families import supported_family
from engine.model.sources import model_cache
from engine.sentences import Sentence
from engine.types import ModelGeometry, PreparedRuntime  # noqa: TC001 - cattrs reads the annotations

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.types import Precision

HIDDEN, OUTPUT, LAST_POSITION, TOTAL, COS, SIN = "hidden", "output", "last_position", "total", "cos", "sin"
HEAD_FILE, PROPAGATION_FILE = "head.onnx", "propagation.onnx"
SHORTLIST_FILE, SHORTLIST_IDS_FILE = "shortlist.onnx", "shortlist.npy"
EMBEDDING_FILE, NORM_FILE, ROTARY_FILE = "embedding.npy", "norm.npy", "rotary.npy"
NORM_BIAS_FILE = "norm-bias.npy"  # only where the norm before the head adds one
KEY_NORMS_FILE = "key-norms.npy"  # only where ONNX Runtime is to norm keys
HEAD_ROWS_FILE = "head.npy"  # only where the head is not the embedding
TOKENIZER_FILE, META_FILE = "tokenizer.json", "prepared.json"

_FORMAT = 11  # raise it when folders written by older code must not be used again
_SAMPLE_BYTES = 1 << 20  # read in a millisecond, at every start
_MODEL_FILES = ("*.safetensors", "*.gguf", "*.bin", "config.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a folder of prepared segments holds; stored beside them.

    Attributes:
        runtime: What runs them.
        geometry: Sizes, with the bytes of a weight as stored.
        bounds: Layers at which segments begin and end: 0, every exit, full depth.
        n_vocabulary: Tokens that the head knows.
        n_kv_heads: Heads of keys and values in each layer.
        head_dim: Width of one head.
        max_positions: Longest text in tokens.
        norm_epsilon: What the final RMS norm adds to the mean square.
        embedding_scale: What a token's embedding is multiplied by.
    """

    runtime: PreparedRuntime
    geometry: ModelGeometry
    bounds: tuple[int, ...]
    n_vocabulary: int
    n_kv_heads: int
    head_dim: int
    max_positions: int
    norm_epsilon: float
    embedding_scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedModel:
    """A folder of prepared segments.

    Attributes:
        layout: What the runner needs to know of it.
        fingerprint: Fingerprint of the base weights.
        exits_fingerprint: Fingerprint of the trained exits, "untrained" where there are none.
        end_ids: Tokens that end a text, as the model's configuration names them.
    """

    layout: Layout
    fingerprint: str
    exits_fingerprint: str
    end_ids: tuple[int, ...]


def prepared_name(
    name: str,
    folder: Path,
    trained_exits: Path | None,
    exit_layers: Sequence[int] | None,
    precision: Precision,
    *,
    native: bool,
) -> str:
    """What the model prepared from these files is called in the cache.

    Args:
        name: The model, as the user named it.
        folder: The folder with its weights.
        trained_exits: The file of its trained exits, if any.
        exit_layers: Where it is cut; None for the default.
        precision: How its weights are stored.
        native: Whether this process has native kernels.
    """
    files = sorted({path for pattern in _MODEL_FILES for path in folder.glob(pattern)})
    weights = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    exits = None if trained_exits is None else _sampled(trained_exits)
    cut = None if exit_layers is None else sorted(set(exit_layers))
    # Processes with and without kernels, such as those of two machines, do not drive out each other's.
    variant = _digest([str(folder.resolve()), cut, trained_exits is not None, native])
    return f"{config.folder_name(name)}-{precision}-{variant}-{_digest([_FORMAT, weights, exits])}"


def find_prepared(prepared_name: str) -> tuple[Path, PreparedModel] | None:
    """A prepared model that is there and whole; None where it has to be made."""
    folder = model_cache.folder_of(prepared_name, kind="prepared")
    try:
        if model_cache.find(prepared_name, kind="prepared") is None:
            return None
        return folder, cattrs.structure(json.loads((folder / META_FILE).read_bytes()), PreparedModel)
    except (ModelCorruptError, OSError, ValueError, TypeError, cattrs.BaseValidationError):
        return None  # it is made anew, from weights that are there


def refuse_other_blocks(name: str, folder: Path, *, native: bool) -> None:
    """Refuses a model that cannot be prepared, as far as its configuration alone shows that.

    Args:
        name: The model, as the user named it.
        folder: The folder with its configuration.
        native: Whether this process has native kernels.

    Raises:
        UnsupportedModelError: If its family has other blocks.
        OSError: If there is no configuration.
        ValueError: If it cannot be read.
    """
    family = json.loads((folder / "config.json").read_bytes()).get("model_type")
    runtimes = supported_family(family, Sentence("The model '{name}'", name=name)).runtimes
    if ("native" if native else "onnx") not in runtimes:
        raise UnsupportedModelError(f"The fast runner does not know the model '{name}': its family is '{family}'.")


def past_names(layer_idx: int) -> tuple[str, str]:
    """Inputs for a layer's keys and values, each [1, H_kv, capacity, D_head]."""
    return f"past_keys_{layer_idx}", f"past_values_{layer_idx}"


def present_names(layer_idx: int) -> tuple[str, str]:
    """Outputs for the same, with the new positions filled in."""
    return f"present_keys_{layer_idx}", f"present_values_{layer_idx}"


def segment_file(start: int) -> str:
    """The graph of the segment that begins with layer `start`."""
    return f"layers-{start:02}.onnx"


def exit_map_file(exit_layer: int) -> str:
    """The graph of the map that the head reads an exit through; missing where none was trained."""
    return f"exit-map-{exit_layer:02}.onnx"


def _sampled(path: Path) -> str:
    """Names what trained exits say, not when they came: two installations share what was prepared with the same ones.

    The first bytes of the file describe the training and every tensor, the last ones are weights.
    """
    digest = hashlib.sha256(str(path.stat().st_size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_SAMPLE_BYTES))
        file.seek(max(0, path.stat().st_size - _SAMPLE_BYTES))
        digest.update(file.read())
    return digest.hexdigest()


def _digest(values: list[Any]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:8]
