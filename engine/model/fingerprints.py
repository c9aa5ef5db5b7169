"""Names of weights by what is in them: a sample, as bf16, to which a GPU rounds what it loads. Imports no torch."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

_Tensor = TypeVar("_Tensor")  # of numpy or of torch

FINGERPRINT_ROWS = 64
"""Rows of each weight that are looked at."""

GEOMETRY = ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
"""What of a model's settings is looked at."""

_WEIGHTS = 32  # about as many of a model


def weights_fingerprint(
    settings: Mapping[str, Any], names: Iterable[str], rows: Callable[[str], NDArray[np.float32]]
) -> str:
    """Names a model by its geometry and a sample of its weights.

    Args:
        settings: What config.json says.
        names: Its weights, by the names of transformers; of tied ones the first.
        rows: Gives the first `FINGERPRINT_ROWS` rows of a weight.

    Returns:
        Sixteen hexadecimal digits.
    """
    digest = hashlib.sha256(json.dumps({key: settings.get(key) for key in GEOMETRY}).encode())
    in_order = sorted(names)
    for name in in_order[:: max(1, len(in_order) // _WEIGHTS)]:
        digest.update(_bf16(rows(name)))
    return digest.hexdigest()[:16]


def exits_fingerprint(
    model: str,
    maps: Mapping[int, tuple[_Tensor, _Tensor]],
    updates: Mapping[str, tuple[_Tensor, _Tensor]],
    shortlist: NDArray[np.integer] | None,
    *,
    rows: Callable[[_Tensor], NDArray[np.float32]],
) -> str:
    """Names trained exits.

    Args:
        model: The fingerprint of their model.
        maps: What was learned of each exit.
        updates: What was learned of each weight.
        shortlist: The tokens that exits choose from.
        rows: Gives the first `FINGERPRINT_ROWS` rows of one of these.

    Returns:
        Sixteen hexadecimal digits.
    """
    digest = hashlib.sha256(model.encode())
    for pair in (*(maps[key] for key in sorted(maps)), *(updates[name] for name in sorted(updates))):
        for tensor in pair:
            digest.update(_bf16(rows(tensor)))
    if shortlist is not None:
        digest.update(shortlist.astype(np.int32).tobytes())
    return digest.hexdigest()[:16]


def _bf16(rows: NDArray[np.float32]) -> bytes:
    """The upper halves of fp32 numbers, rounded to the nearest, and to even ones between two."""
    bits = np.ascontiguousarray(rows, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16).tobytes()
