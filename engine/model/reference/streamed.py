"""A transformers model whose layers are read from their files one at a time, to be prepared in little memory.

All else (embedding, norms, LM head) is there. Layers are built without weights; the one that was asked for last has
them. Knows nothing of what is done with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.initialization import no_init_weights

from engine.model.reference.weight_files import WeightFiles, generation_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from engine.model.reference.trained_exits import TrainedExits

_LAYERS = "model.layers."


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
    generation_settings(model, folder)
    model.model.layers = StreamedLayers(model.model.layers, files)
    return model
