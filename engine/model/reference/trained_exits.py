"""Trained exits: what turns the hidden state at an exit into one that the LM head can read.

An affine map for each exit, from the normed hidden state there to the normed last one (Din et al., "Jump to
Conclusions", arXiv 2303.09435), and, where layers were trained together with them, low-rank updates of the layers'
weights (LoRA, arXiv 2106.09685), which are added when the model is loaded. The base weights on disk stay as they are.
With them goes a shortlist of the tokens that occur in code: the head over these alone is what an exit evaluates.
`engine.training` learns all this; this module stores it, finds it, and refuses what belongs to
another model. In tensors of torch, for training and the reference runner; what the fast runner reads is made from them.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cattrs
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.nn import functional

from engine.errors import ModelCorruptError, ModelError, PolicyError
from engine.files import written_whole
from engine.model.trained_exit_files import TRAINED_EXITS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_FORMAT = 1
_NORM = "final"  # both ends of the map are normed by the model's final norm
_METADATA_KEY = "green-code"
_UP, _DOWN, _SHORTLIST = ".up", ".down", "shortlist"
_FINGERPRINT_ROWS = 64  # rows of each weight that are hashed

logger = logging.getLogger(__name__)

Affine = tuple[torch.Tensor, torch.Tensor]  # weight [D, D], bias [D]
LowRank = tuple[torch.Tensor, torch.Tensor]  # up [out, r], down [r, in]

UNTRAINED = "untrained"  # in place of a fingerprint, where a model's exits are used as they are


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedExitsInfo:
    """Where trained exits come from, and what they are good for.

    Attributes:
        model: The model's name at the time.
        fingerprint: `model_fingerprint` of the model that they belong to.
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
    format: int = _FORMAT
    norm: str = _NORM


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

    @torch.no_grad()
    def adapt(self, model: Any) -> None:
        """Adds the updates to the weights of a transformers model, in place; layers without weights get none.

        Raises:
            PolicyError: If the model has no such weights.
        """
        parameters = dict(model.named_parameters())
        for name, (up, down) in self.updates.items():
            weight = parameters.get(name)
            if weight is None or weight.shape != (up.shape[0], down.shape[1]):
                raise PolicyError(f"The trained exits do not fit the layers of {self.info.model}; {_RETRAIN}.")
            if not weight.is_meta:
                weight += (up.to(weight.device).float() @ down.to(weight.device).float()).to(weight.dtype)

    def update(self, name: str) -> torch.Tensor | None:
        """What is added to the weight of that name, fp32; None for nothing."""
        factors = self.updates.get(name)
        return None if factors is None else factors[0].float() @ factors[1].float()

    @property
    def fingerprint(self) -> str:
        """Names these very exits, whatever the precision they are held in; sixteen hexadecimal digits."""
        digest = hashlib.sha256(self.info.fingerprint.encode())
        in_order = [
            *(self.maps[key] for key in sorted(self.maps)),
            *(self.updates[key] for key in sorted(self.updates)),
        ]
        for tensor in (tensor for pair in in_order for tensor in pair):
            rows = tensor.detach()[:_FINGERPRINT_ROWS].to("cpu", torch.bfloat16).contiguous()
            digest.update(rows.view(torch.int16).numpy().tobytes())
        if self.shortlist is not None:
            digest.update(self.shortlist.to("cpu", torch.int32).numpy().tobytes())
        return digest.hexdigest()[:16]


def find_trained_exits(name: str, fingerprint: str) -> TrainedExits | None:
    """The trained exits of a model: the user's own, else the shipped ones where they fit, else None.

    Raises:
        PolicyError: If the user's own belong to other weights.
        ModelCorruptError: If a file cannot be read.
    """
    return TRAINED_EXITS.find(name, lambda path: load_trained_exits(path, fingerprint))


def load_trained_exits(path: Path, fingerprint: str) -> TrainedExits:
    """Reads trained exits, in fp32 on the CPU.

    Raises:
        PolicyError: If they belong to another model.
        ModelCorruptError: If the file cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            info = cattrs.structure(json.loads((file.metadata() or {})[_METADATA_KEY]), TrainedExitsInfo)
            if (info.format, info.norm) != (_FORMAT, _NORM):
                raise PolicyError(f"The exits in {path} were written by another version of Green Code; {_RETRAIN}.")
            if info.fingerprint != fingerprint:
                raise PolicyError(f"The exits in {path} were trained for other weights than these; {_RETRAIN}.")
            maps = {
                exit_: (file.get_tensor(f"{exit_}.weight").float(), file.get_tensor(f"{exit_}.bias").float())
                for exit_ in info.exit_layers
            }
            names = {key.removesuffix(_UP) for key in file.keys() if key.endswith(_UP)}  # noqa: SIM118 - not a dict
            updates = {
                name: (file.get_tensor(name + _UP).float(), file.get_tensor(name + _DOWN).float())
                for name in sorted(names)
            }
            shortlist = file.get_tensor(_SHORTLIST).long() if _SHORTLIST in file.keys() else None  # noqa: SIM118
    except (OSError, KeyError, ValueError, TypeError, SafetensorError, cattrs.BaseValidationError) as error:
        raise ModelCorruptError(f"The exits in {path} cannot be read; {_RETRAIN}.") from error
    return TrainedExits(info, maps, updates, shortlist)


def save_trained_exits(trained_exits: TrainedExits, path: Path) -> None:
    """Writes trained exits in fp16, in one step: the file is whole or as it was.

    Raises:
        ModelError: If the disk refuses.
    """
    tensors = {}
    for exit_, (weight, bias) in trained_exits.maps.items():
        tensors[f"{exit_}.weight"], tensors[f"{exit_}.bias"] = _stored(weight), _stored(bias)
    for name, (up, down) in trained_exits.updates.items():
        tensors[name + _UP], tensors[name + _DOWN] = _stored(up), _stored(down)
    if trained_exits.shortlist is not None:
        tensors[_SHORTLIST] = trained_exits.shortlist.to("cpu", torch.int32)
    try:
        with written_whole(path) as partial:
            save_file(tensors, partial, metadata={_METADATA_KEY: json.dumps(cattrs.unstructure(trained_exits.info))})
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
    geometry = {
        key: getattr(model.config, key, None)
        for key in ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
    }
    digest = hashlib.sha256(json.dumps(geometry).encode())
    named = sorted(model.named_parameters(), key=lambda pair: pair[0])
    for name, parameter in named[:: max(1, len(named) // 32)]:
        first = slice(_FINGERPRINT_ROWS)
        stored = read(name, first) if parameter.is_meta and read else parameter.detach()[first]
        rows = stored.to("cpu", torch.bfloat16).contiguous()
        digest.update(rows.view(torch.int16).numpy().tobytes())
    return digest.hexdigest()[:16]


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu", torch.float16).contiguous()


_RETRAIN = "delete it, or run `green-code train exits` for this model again"
