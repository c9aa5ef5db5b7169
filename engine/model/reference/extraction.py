"""Takes the weights out of a model that the reference runs, as the writers of prepared models take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.model.prepared.weights import Blocks, Weights, array
from engine.model.reference.llama_adapters import LlamaAdapter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.prepared.quantization import InputStatistics
    from engine.model.prepared.weights import Linear
    from engine.model.reference.eager import TorchRunner


def adapter_of(runner: TorchRunner) -> LlamaAdapter:
    """The adapter of a model that can be prepared."""
    adapter = runner.adapter
    assert isinstance(adapter, LlamaAdapter)  # as those of all families with a fast runner are
    return adapter


def blocks_of(runner: TorchRunner) -> Blocks:
    """What all layers of a model have in common."""
    adapter = adapter_of(runner)
    config = runner.backbone.config
    attention: Any = adapter.layers[0].self_attn
    weight, _ = adapter.products(0).down
    return Blocks(
        width=weight.shape[0],
        n_heads=config.num_attention_heads,
        n_kv_heads=config.num_key_value_heads,
        head_dim=attention.head_dim,
        mlp_width=weight.shape[1],
        activation=getattr(config, "hidden_activation", None) or config.hidden_act,
        is_gated=adapter.is_gated,
        attention_scale=attention.scaling,
    )


def weights_of(runner: TorchRunner, statistics: Sequence[InputStatistics]) -> Weights:
    """Takes apart what the reference runs."""
    adapter = adapter_of(runner)
    blocks = blocks_of(runner)
    keys = [adapter.rotary_key(idx) for idx in range(runner.n_layers)]
    tables = list(dict.fromkeys(keys))
    weight, bias = adapter.head_product
    shortlist: Linear | None = None
    if runner.shortlist is not None and bias is None:  # rows beside the list are read without one
        shortlist = weight[runner.shortlist], None
    maps = {} if runner.trained_exits is None else runner.trained_exits.maps
    return Weights(
        blocks=blocks,
        n_layers=runner.n_layers,
        products=adapter.products,
        norms=[adapter.norms(idx) for idx in range(runner.n_layers)],
        rotaries=[tables.index(key) for key in keys],
        windows=[window or 0 for window in adapter.sliding_windows],
        final_norm=adapter.final_norm_weight,
        final_norm_bias=adapter.final_norm_bias,
        statistics=statistics,
        embedding=adapter.embedding,
        embedding_scale=adapter.embedding_scale,
        norm_epsilon=adapter.norm_epsilon,
        head=(weight, bias),
        shortlist=shortlist,
        propagation=_propagation(adapter, blocks),
        exit_maps={layer: (array(weight), array(bias)) for layer, (weight, bias) in maps.items()},
    )


def _propagation(adapter: LlamaAdapter, blocks: Blocks) -> Linear:
    """One product for all layers: their RMS norms differ by their weights only, which are folded in."""
    weights, biases = [], []
    first_key = blocks.n_heads * blocks.head_dim
    for idx in range(len(adapter.layers)):
        weight, bias = adapter.products(idx).qkv
        weights.append(weight[first_key:] * adapter.norms(idx).attention)
        biases.append(np.zeros(len(weights[-1]), np.float32) if bias is None else bias[first_key:])
    return np.concatenate(weights), np.concatenate(biases)
