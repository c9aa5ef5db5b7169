"""Trained exits: what turns the hidden state at an exit into one that the LM head can read.

An affine map for each exit, from the normed hidden state there to the normed last one (Din et al., "Jump to
Conclusions", arXiv 2303.09435), and, where layers were trained together with them, low-rank updates of the layers'
weights (LoRA, arXiv 2106.09685), which are added when the model is loaded. The base weights on disk stay as they are.
With them goes a shortlist of the tokens that occur in code: the head over these alone is what an exit evaluates.
`engine.training` learns all this; this module stores it, finds it, and refuses what belongs to
another model. In tensors of torch, for training and the reference runner; what the fast runner reads is made from them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cattrs
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch.nn import functional

from engine.errors import ModelError, PolicyError
from engine.files import written_whole
from engine.model.fingerprints import FINGERPRINT_ROWS, GEOMETRY, exits_fingerprint, weights_fingerprint
from engine.model.stored_exits import DOWN, METADATA_KEY, RETRAIN, SHORTLIST, UP, find_exits, read_exits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from engine.model.stored_exits import StoredExits, TrainedExitsInfo

Affine = tuple[torch.Tensor, torch.Tensor]  # weight [D, D], bias [D]
LowRank = tuple[torch.Tensor, torch.Tensor]  # up [out, r], down [r, in]


class TrainedExits:
    """One affine map for each exit that has one, and updates of the layers that were trained with them.

    Attributes:
        info: Where they come from.
        maps: By exit layer: weight [D, D] and bias [D], applied as `weight @ state + bias`.
        updates: By the name of a weight [out, in] of the model: factors (up [out, r], down [r, in]) of what is added.
        shortlist: Ids of the tokens that exits choose from, ascending, [S]; None for the whole vocabulary.
    """

    def __init__(
        self,
        info: TrainedExitsInfo,
        maps: Mapping[int, Affine],
        updates: Mapping[str, LowRank] | None = None,
        shortlist: torch.Tensor | None = None,
    ) -> None:
        assert tuple(sorted(maps)) == info.exit_layers
        self.info = info
        self.maps = dict(maps)
        self.updates = dict(updates or {})
        self.shortlist = shortlist

    def apply(self, state: torch.Tensor, exit_layer: int) -> torch.Tensor:
        """Maps normed states [..., D] at an exit; returns them unchanged where the exit has none."""
        affine = self.maps.get(exit_layer)
        return state if affine is None else functional.linear(state, *affine)

    def to(self, like: torch.Tensor) -> TrainedExits:
        """The same maps on the device and in the precision of `like`."""
        return TrainedExits(
            self.info,
            {exit_: (w.to(like), b.to(like)) for exit_, (w, b) in self.maps.items()},
            self.updates,
            self.shortlist,
        )

    def rounded(self) -> TrainedExits:
        """The same as they are after being stored, in fp32: what is judged should be what ships."""
        maps = {exit_: (_stored(weight).float(), _stored(bias).float()) for exit_, (weight, bias) in self.maps.items()}
        updates = {name: (_stored(up).float(), _stored(down).float()) for name, (up, down) in self.updates.items()}
        return TrainedExits(self.info, maps, updates, self.shortlist)

    def adapt(self, model: Any) -> None:
        """Adds the updates to the weights of a transformers model, in place; layers without weights get none.

        Raises:
            PolicyError: If the model has no such weights.
        """
        self._add(model, 1.0)

    def take_out(self, model: Any) -> None:
        """Subtracts from the weights of a model what `adapt` added."""
        self._add(model, -1.0)

    @torch.no_grad()
    def _add(self, model: Any, factor: float) -> None:
        parameters = dict(model.named_parameters())
        for name, (up, down) in self.updates.items():
            weight = parameters.get(name)
            if weight is None or weight.shape != (up.shape[0], down.shape[1]):
                raise PolicyError(f"The trained exits do not fit the layers of {self.info.model}; {RETRAIN}.")
            if not weight.is_meta:
                weight += factor * (up.to(weight.device).float() @ down.to(weight.device).float()).to(weight.dtype)

    def update(self, name: str) -> torch.Tensor | None:
        """What is added to the weight of that name, fp32; None for nothing."""
        factors = self.updates.get(name)
        return None if factors is None else factors[0].float() @ factors[1].float()

    @property
    def fingerprint(self) -> str:
        """Names these very exits, whatever the precision they are held in; sixteen hexadecimal digits."""
        listed = None if self.shortlist is None else self.shortlist.cpu().numpy()
        return exits_fingerprint(self.info.fingerprint, self.maps, self.updates, listed, rows=_first_rows)


def find_trained_exits(name: str, fingerprint: str) -> TrainedExits | None:
    """The trained exits of a model: the user's own, else the shipped ones where they fit, else None.

    Raises:
        PolicyError: If the user's own belong to other weights.
        ModelCorruptError: If a file cannot be read.
    """
    found = find_exits(name, fingerprint)
    return None if found is None else _in_torch(found)


def load_trained_exits(path: Path, fingerprint: str) -> TrainedExits:
    """Reads trained exits, in fp32 on the CPU.

    Raises:
        PolicyError: If they belong to another model.
        ModelCorruptError: If the file cannot be read.
    """
    return _in_torch(read_exits(path, fingerprint))


def _in_torch(stored: StoredExits) -> TrainedExits:
    return TrainedExits(
        stored.info,
        {exit_: (torch.from_numpy(weight), torch.from_numpy(bias)) for exit_, (weight, bias) in stored.maps.items()},
        {name: (torch.from_numpy(up), torch.from_numpy(down)) for name, (up, down) in stored.updates.items()},
        None if stored.shortlist is None else torch.from_numpy(stored.shortlist),
    )


def save_trained_exits(trained_exits: TrainedExits, path: Path) -> None:
    """Writes trained exits in fp16, in one step: the file is whole or as it was.

    Raises:
        ModelError: If the disk refuses.
    """
    tensors = {}
    for exit_, (weight, bias) in trained_exits.maps.items():
        tensors[f"{exit_}.weight"], tensors[f"{exit_}.bias"] = _stored(weight), _stored(bias)
    for name, (up, down) in trained_exits.updates.items():
        tensors[name + UP], tensors[name + DOWN] = _stored(up), _stored(down)
    if trained_exits.shortlist is not None:
        tensors[SHORTLIST] = trained_exits.shortlist.to("cpu", torch.int32)
    try:
        with written_whole(path) as partial:
            save_file(tensors, partial, metadata={METADATA_KEY: json.dumps(cattrs.unstructure(trained_exits.info))})
    except (OSError, SafetensorError) as error:
        raise ModelError(f"The trained exits could not be written to {path}.") from error


def model_fingerprint(model: Any, read: Callable[[str, slice], torch.Tensor] | None = None) -> str:
    """Names a transformers model by its geometry and a sample of its weights; the same in fp32 and in bf16.

    Weights are compared as bf16, to which a GPU rounds them when it loads them.

    Args:
        model: The model.
        read: Gives rows of a parameter by its name, where layers have no weights.

    Returns:
        Sixteen hexadecimal digits.
    """
    named = dict(model.named_parameters())

    def rows(name: str) -> NDArray[np.float32]:
        parameter = named[name]
        return _first_rows(read(name, slice(FINGERPRINT_ROWS)) if parameter.is_meta and read else parameter)

    return weights_fingerprint({key: getattr(model.config, key, None) for key in GEOMETRY}, named, rows)


def _first_rows(tensor: torch.Tensor) -> NDArray[np.float32]:
    rows: NDArray[np.float32] = tensor.detach()[:FINGERPRINT_ROWS].float().cpu().numpy()
    return rows


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu", torch.float16).contiguous()
