"""The weights of a transformers model with its exits, as the writers of converted models take them: fp32, in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from engine.model.runners.quantization import InputStatistics
    from engine.model.runners.torch_eager import TorchRunner

Linear = tuple["NDArray[np.float32]", "NDArray[np.float32] | None"]
"""Weight [N, K] and bias [N] of a product x @ weight.T + bias."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What is written of a model, but for its tables.

    Attributes:
        layers: Of transformers.
        statistics: What each layer's MLP reads, where its gate and up projections go to 4 bits; else empty.
        head: The LM head.
        shortlist: Its rows for the tokens on the shortlist, where there is one.
        propagation: Keys and values of all layers, [L * 2 * H_kv * D_head, D], with the norms' weights folded in.
        shortcuts: The maps that the head reads exits through, by exit.
    """

    layers: Sequence[Any]
    statistics: Sequence[InputStatistics]
    head: Linear
    shortlist: Linear | None
    propagation: Linear
    shortcuts: Mapping[int, Linear]


def parts_of(runner: TorchRunner, statistics: Sequence[InputStatistics]) -> Parts:
    """Takes apart what the reference runs."""
    lm_head = runner.backbone.lm_head
    weight, bias = linear(lm_head)
    shortlist: Linear | None = None
    if runner.shortlist is not None and bias is None:  # rows beside the list are read without one
        shortlist = weight[runner.shortlist], None
    maps = {} if runner.shortcuts is None else runner.shortcuts.maps
    return Parts(
        layers=runner.parts.layers,
        statistics=statistics,
        head=(weight, bias),
        shortlist=shortlist,
        propagation=_propagation(runner.parts.layers),
        shortcuts={layer: (array(weight), array(bias)) for layer, (weight, bias) in maps.items()},
    )


def linear(*modules: Any) -> Linear:
    """Weight and bias of linear modules, one behind the other."""
    weight = np.concatenate([array(module.weight) for module in modules])
    return weight, None if modules[0].bias is None else np.concatenate([array(module.bias) for module in modules])


def array(tensor: Any) -> NDArray[np.float32]:
    """A torch tensor as numpy's."""
    values: NDArray[np.float32] = tensor.detach().float().cpu().numpy()
    return values


def _propagation(layers: Sequence[Any]) -> Linear:
    """One product for all layers: their RMS norms differ by their weights only, which are folded in."""
    weights, biases = [], []
    for layer in layers:
        for module in (layer.self_attn.k_proj, layer.self_attn.v_proj):
            weight, bias = linear(module)
            weights.append(weight * array(layer.input_layernorm.weight))
            biases.append(np.zeros(len(weight), np.float32) if bias is None else bias)
    return np.concatenate(weights), np.concatenate(biases)
