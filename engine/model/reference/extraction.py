"""Takes the weights out of a model that the reference runs, as the writers of prepared models take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.model.prepared.weights import Blocks, LayerWeights, Weights, array
from engine.model.reference.llama_adapters import adapter_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.model.prepared.checked_tokens import CheckedTokens
    from engine.model.prepared.quantization import InputStatistics
    from engine.model.prepared.weights import Linear
    from engine.model.reference.eager import TorchRunner
    from engine.model.reference.llama_adapters import LlamaAdapter
    from engine.model.reference.mlp_inputs import MlpInputs


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


def weights_of(
    runner: TorchRunner, inputs: MlpInputs | None, sample: CheckedTokens, progress: Callable[[int], None]
) -> Weights:
    """Takes apart what the reference runs, each layer once, as only one of them may be in memory.

    Args:
        runner: Runs the model.
        inputs: Says what MLPs read, where their weights go to 4 bits.
        sample: Goes through each layer that is taken out.
        progress: Is called for each layer before it is.
    """
    adapter = adapter_of(runner)
    blocks = blocks_of(runner)
    keys = [adapter.rotary_key(idx) for idx in range(runner.n_layers)]
    tables = list(dict.fromkeys(keys))
    shortlist: Linear | None = None
    if runner.shortlist is not None and adapter.lm_head.bias is None:  # rows beside the list are read without one
        shortlist = adapter.head_product[0][runner.shortlist], None
    maps = {} if runner.trained_exits is None else runner.trained_exits.maps
    return Weights(
        blocks=blocks,
        n_layers=runner.n_layers,
        layers=_layers(runner, blocks, inputs, sample, progress),
        rotaries=[tables.index(key) for key in keys],
        windows=[window or 0 for window in adapter.sliding_windows],
        final_norm=adapter.final_norm_weight,
        final_norm_bias=adapter.final_norm_bias,
        embedding=lambda: adapter.embedding,
        embedding_scale=adapter.embedding_scale,
        norm_epsilon=adapter.norm_epsilon,
        head=lambda: adapter.head_product,
        shortlist=shortlist,
        exit_maps={layer: (array(weight), array(bias)) for layer, (weight, bias) in maps.items()},
    )


def _layers(
    runner: TorchRunner,
    blocks: Blocks,
    inputs: MlpInputs | None,
    sample: CheckedTokens,
    progress: Callable[[int], None],
) -> Iterator[LayerWeights]:
    for idx in range(runner.n_layers):
        progress(idx)
        statistics = None if inputs is None else inputs.of_layer(idx)
        sample.run_layer(idx)
        yield _layer(adapter_of(runner), idx, blocks, statistics)


def _layer(adapter: LlamaAdapter, idx: int, blocks: Blocks, statistics: InputStatistics | None) -> LayerWeights:
    products, norms = adapter.products(idx), adapter.norms(idx)
    weight, bias = products.qkv
    first_key = blocks.n_heads * blocks.head_dim
    # All layers share one product for these: their RMS norms differ by their weights only, which are folded in.
    keys_and_values = weight[first_key:] * norms.attention
    key_and_value_bias = np.zeros(len(keys_and_values), np.float32) if bias is None else bias[first_key:]
    return LayerWeights(
        products=products, norms=norms, propagation=(keys_and_values, key_and_value_bias), statistics=statistics
    )
