"""Trained exits as they are stored: read, found, and refused where they belong to another model. Imports no torch.

What they are is said in `engine.model.reference.trained_exits`, which uses them in torch and writes them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cattrs
import numpy as np
from safetensors import SafetensorError, safe_open

from engine.errors import ModelCorruptError, PolicyError
from engine.model.fingerprints import FINGERPRINT_ROWS, exits_fingerprint
from engine.model.trained_exit_files import TRAINED_EXITS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

FORMAT = 1
NORM = "final"  # both ends of the map are normed by the model's final norm
METADATA_KEY = "green-code"
UP, DOWN, SHORTLIST = ".up", ".down", "shortlist"
RETRAIN = "delete it, or run `green-code train exits` for this model again"
UNTRAINED = "untrained"  # in place of a fingerprint, where a model's exits are used as they are


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedExitsInfo:
    """Where trained exits come from, and what they are good for.

    Attributes:
        model: The model's name at the time.
        fingerprint: `weights_fingerprint` of the model that they belong to.
        exit_layers: Layers after which there is a map, ascending.
        corpus_sha256: Hash of the training text.
        train_tokens: Tokens learned from.
        created: Date, ISO 8601.
        agreement: For each exit, in the order of `exit_layers`: the share of held-out tokens on which it chooses
            what the last layer chooses.
        format: Version of the file.
        norm: How both ends are normed.
    """

    model: str
    fingerprint: str
    exit_layers: tuple[int, ...]
    corpus_sha256: str
    train_tokens: int
    created: str
    agreement: tuple[float, ...]
    format: int = FORMAT
    norm: str = NORM


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredExits:
    """What a file of trained exits holds, in fp32.

    Attributes:
        info: Where they come from.
        maps: By exit layer: weight [D, D] and bias [D].
        updates: By the name of a weight [out, in] of the model: factors (up [out, r], down [r, in]) of what is added.
        shortlist: Ids of the tokens that exits choose from, ascending, [S]; None for the whole vocabulary.
    """

    info: TrainedExitsInfo
    maps: Mapping[int, tuple[NDArray[np.float32], NDArray[np.float32]]]
    updates: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]]
    shortlist: NDArray[np.int64] | None

    @property
    def fingerprint(self) -> str:
        """Names these very exits; sixteen hexadecimal digits."""
        return exits_fingerprint(
            self.info.fingerprint,
            self.maps,
            self.updates,
            self.shortlist,
            rows=lambda tensor: tensor[:FINGERPRINT_ROWS],
        )


def find_exits(name: str, fingerprint: str) -> StoredExits | None:
    """The trained exits of a model: the user's own, else the shipped ones where they fit, else None.

    Raises:
        PolicyError: If the user's own belong to other weights.
        ModelCorruptError: If a file cannot be read.
    """
    return TRAINED_EXITS.find(name, lambda path: read_exits(path, fingerprint))


def read_exits(path: Path, fingerprint: str) -> StoredExits:
    """Reads trained exits.

    Raises:
        PolicyError: If they belong to another model.
        ModelCorruptError: If the file cannot be read.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            info = cattrs.structure(json.loads((file.metadata() or {})[METADATA_KEY]), TrainedExitsInfo)
            if (info.format, info.norm) != (FORMAT, NORM):
                raise PolicyError(f"The exits in {path} were written by another version of Green Code; {RETRAIN}.")
            if info.fingerprint != fingerprint:
                raise PolicyError(f"The exits in {path} were trained for other weights than these; {RETRAIN}.")

            def pair(first: str, second: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
                return file.get_tensor(first).astype(np.float32), file.get_tensor(second).astype(np.float32)

            keys = set(file.keys())
            names = sorted(key.removesuffix(UP) for key in keys if key.endswith(UP))
            return StoredExits(
                info=info,
                maps={exit_: pair(f"{exit_}.weight", f"{exit_}.bias") for exit_ in info.exit_layers},
                updates={name: pair(name + UP, name + DOWN) for name in names},
                shortlist=file.get_tensor(SHORTLIST).astype(np.int64) if SHORTLIST in keys else None,
            )
    except (OSError, KeyError, ValueError, TypeError, SafetensorError, cattrs.BaseValidationError) as error:
        raise ModelCorruptError(f"The exits in {path} cannot be read; {RETRAIN}.") from error
