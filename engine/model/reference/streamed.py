"""A transformers model whose layers are read from their files one at a time, to be prepared in little memory.

All else (embedding, norms, LM head) is there. Layers are built without weights; the one that was asked for last has
them. Knows nothing of what is done with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import torch
from safetensors import safe_open
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig
from transformers.initialization import no_init_weights
from transformers.utils import GENERATION_CONFIG_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from engine.model.reference.trained_exits import TrainedExits

_LAYERS, _HEAD = "model.layers.", "lm_head.weight"
_ROWS = 4096


class WeightFiles:
    """The tensors of a folder's safetensors, by the names of the model's parameters."""

    def __init__(self, folder: Path) -> None:
        """Reads the heads of the files."""
        self._places: dict[str, tuple[Path, str]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        for path in sorted(folder.glob("model*.safetensors")):
            with safe_open(path, framework="pt") as file:
                for key in file.keys():  # noqa: SIM118 - not a dict
                    name = key if key.startswith(("model.", _HEAD)) else f"model.{key}"
                    self._places[name], self._shapes[name] = (path, key), tuple(file.get_slice(key).get_shape())

    def hold(self, parameters: Mapping[str, torch.Tensor]) -> bool:
        """Whether these parameters are there, and no head beside the embedding that a model has for one."""
        return (_HEAD in self._places) <= (_HEAD in parameters) and all(
            self._shapes.get(name) == parameter.shape for name, parameter in parameters.items()
        )

    def read(self, name: str, rows: slice = slice(None)) -> torch.Tensor:
        """A tensor as it is stored, or some rows of it; what it maps of the file goes with it."""
        path, key = self._places[name]
        with safe_open(path, framework="pt") as file:
            return file.get_slice(key)[rows]  # type: ignore[no-any-return]  # untyped

    @torch.no_grad()
    def fill(self, parameter: torch.Tensor, name: str) -> None:
        """Copies a tensor into a parameter, some rows at a time so that no second one is in memory."""
        for start in range(0, len(parameter), _ROWS):
            rows = slice(start, start + _ROWS)
            parameter[rows] = self.read(name, rows)


class StreamedLayers(nn.ModuleList):
    """Layers of which only the one that was asked for last has weights, in fp32."""

    def __init__(self, layers: nn.ModuleList, files: WeightFiles) -> None:
        """Takes layers on the meta device.

        Args:
            layers: They may have no buffers.
            files: Where their weights are.
        """
        super().__init__(layers)
        self.files = files
        self.trained_exits: TrainedExits | None = None
        self._held: int | None = None

    @overload
    def __getitem__(self, idx: slice) -> nn.ModuleList: ...
    @overload
    def __getitem__(self, idx: int) -> nn.Module: ...
    def __getitem__(self, idx: int | slice) -> nn.Module:
        """A layer with its weights, which it has until another one is asked for."""
        assert isinstance(idx, int)
        layer = super().__getitem__(idx)
        if idx != self._held:
            self.let_go()
            self._held = idx
            layer.load_state_dict(self._weights(layer, f"{_LAYERS}{idx}."), assign=True)
        return layer

    def let_go(self) -> None:
        """Takes the weights from the layer that has some."""
        if self._held is not None:
            super().__getitem__(self._held).to("meta")
        self._held = None

    def _weights(self, layer: nn.Module, prefix: str) -> Mapping[str, torch.Tensor]:
        weights = {name: self.files.read(prefix + name).float() for name, _ in layer.named_parameters()}
        if self.trained_exits is not None:
            for name, weight in weights.items():
                if (update := self.trained_exits.update(prefix + name)) is not None:
                    weights[name] = weight + update
        return weights


def load_streamed(folder: Path, settings: Any) -> Any | None:
    """A model of Llama's build in fp32 whose layers are `StreamedLayers`.

    Args:
        folder: The folder with the weights.
        settings: Its configuration, as transformers reads it.

    Returns:
        The model; None where layers cannot be read one by one: pickled, or stored under other names.
    """
    files = WeightFiles(folder)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(settings, dtype=torch.float32)
    # On the CPU all that is beside the layers, with one layer of each kind, as tables of angles depend on them.
    kinds = list(dict.fromkeys(getattr(settings, "layer_types", None) or ()))
    cut = {"num_hidden_layers": len(kinds), "layer_types": kinds} if kinds else {"num_hidden_layers": 1}
    with no_init_weights():  # memory that nobody writes to is not taken
        ends = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder, **cut), dtype=torch.float32)
    ends.tie_weights()
    for whole, part in ((model, ends), (model.model, ends.model)):
        for name, child in part.named_children():
            if name not in ("model", "layers"):
                setattr(whole, name, child)
    if not files.hold(dict(model.named_parameters())):
        return None
    for name, parameter in model.named_parameters():
        if not parameter.is_meta:
            files.fill(parameter, name)
    if (folder / GENERATION_CONFIG_NAME).is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
    model.model.layers = StreamedLayers(model.model.layers, files)
    return model
