"""Takes the weights out of a model that the reference runs, as the writers of prepared models take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.model.prepared.weights import Weights, array, linear
from engine.model.reference.adapters import LlamaAdapter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.prepared.quantization import InputStatistics
    from engine.model.prepared.weights import Linear, Norms
    from engine.model.reference.eager import TorchRunner


def weights_of(runner: TorchRunner, statistics: Sequence[InputStatistics]) -> Weights:
    """Takes apart what the reference runs."""
    adapter, layers = runner.adapter, runner.adapter.layers
    assert isinstance(adapter, LlamaAdapter)  # as those of all families with a fast runner are
    norms = [adapter.norms(idx) for idx in range(len(layers))]
    keys = [adapter.rotary_key(idx) for idx in range(len(layers))]
    tables = list(dict.fromkeys(keys))
    weight, bias = linear(adapter.lm_head)
    shortlist: Linear | None = None
    if runner.shortlist is not None and bias is None:  # rows beside the list are read without one
        shortlist = weight[runner.shortlist], None
    maps = {} if runner.trained_exits is None else runner.trained_exits.maps
    return Weights(
        layers=layers,
        norms=norms,
        rotaries=[tables.index(key) for key in keys],
        windows=[window or 0 for window in adapter.sliding_windows],
        final_norm=adapter.final_norm_weight,
        statistics=statistics,
        embedding=array(adapter.embedding.weight),
        embedding_scale=adapter.embedding_scale,
        norm_epsilon=adapter.norm_epsilon,
        head=(weight, bias),
        shortlist=shortlist,
        propagation=_propagation(layers, norms),
        exit_maps={layer: (array(weight), array(bias)) for layer, (weight, bias) in maps.items()},
    )


def _propagation(layers: Sequence[Any], norms: Sequence[Norms]) -> Linear:
    """One product for all layers: their RMS norms differ by their weights only, which are folded in."""
    weights, biases = [], []
    for layer, norm in zip(layers, norms, strict=True):
        for module in (layer.self_attn.k_proj, layer.self_attn.v_proj):
            weight, bias = linear(module)
            weights.append(weight * norm.attention)
            biases.append(np.zeros(len(weight), np.float32) if bias is None else bias)
    return np.concatenate(weights), np.concatenate(biases)
