"""The weights of a transformers model with its exits, as the writers of prepared models take them: fp32, in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from engine.model.prepared.quantization import InputStatistics
    from engine.model.reference.eager import TorchRunner

Linear = tuple["NDArray[np.float32]", "NDArray[np.float32] | None"]
"""Weight [N, K] and bias [N] of a product x @ weight.T + bias."""

_GEMMA = "gemma3_text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Norms:
    """What the RMS norms of a layer multiply by; None where its family has none.

    Attributes:
        attention: Before attention, [D].
        mlp: Before the MLP, [D].
        attention_out: Of what attention adds to the residual stream, [D].
        mlp_out: Of what the MLP adds to it, [D].
        query: Of each head's queries, [D_head].
        key: Of each head's keys, [D_head].
    """

    attention: NDArray[np.float32]
    mlp: NDArray[np.float32]
    attention_out: NDArray[np.float32] | None = None
    mlp_out: NDArray[np.float32] | None = None
    query: NDArray[np.float32] | None = None
    key: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What is written of a model, but for its tables.

    Attributes:
        layers: Of transformers.
        norms: Of each layer.
        rotaries: Which table of angles each layer rotates by.
        windows: How many positions a row of each layer sees, its own included; 0 for all.
        final_norm: Before the head, [D].
        statistics: What each layer's MLP reads, where its gate and up projections go to 4 bits; else empty.
        head: The LM head.
        shortlist: Its rows for the tokens on the shortlist, where there is one.
        propagation: Keys and values of all layers, [L * 2 * H_kv * D_head, D], with the norms' weights folded in.
        exit_maps: The maps that the head reads exits through, by exit.
    """

    layers: Sequence[Any]
    norms: Sequence[Norms]
    rotaries: Sequence[int]
    windows: Sequence[int]
    final_norm: NDArray[np.float32]
    statistics: Sequence[InputStatistics]
    head: Linear
    shortlist: Linear | None
    propagation: Linear
    exit_maps: Mapping[int, Linear]


def weights_of(runner: TorchRunner, statistics: Sequence[InputStatistics]) -> Weights:
    """Takes apart what the reference runs."""
    backbone, layers = runner.backbone, runner.adapter.layers
    norms = [_norms(layer, backbone.config) for layer in layers]
    keys = [runner.adapter.rotary_key(idx) for idx in range(len(layers))]
    tables = list(dict.fromkeys(keys))
    lm_head = backbone.lm_head
    weight, bias = linear(lm_head)
    shortlist: Linear | None = None
    if runner.shortlist is not None and bias is None:  # rows beside the list are read without one
        shortlist = weight[runner.shortlist], None
    maps = {} if runner.trained_exits is None else runner.trained_exits.maps
    return Weights(
        layers=layers,
        norms=norms,
        rotaries=[tables.index(key) for key in keys],
        windows=[window or 0 for window in runner.adapter.sliding_windows],
        final_norm=_norm(backbone.model.norm, backbone.config),
        statistics=statistics,
        head=(weight, bias),
        shortlist=shortlist,
        propagation=_propagation(layers, norms),
        exit_maps={layer: (array(weight), array(bias)) for layer, (weight, bias) in maps.items()},
    )


def linear(*modules: Any) -> Linear:
    """Weight and bias of linear modules, one behind the other."""
    weight = np.concatenate([array(module.weight) for module in modules])
    return weight, None if modules[0].bias is None else np.concatenate([array(module.bias) for module in modules])


def array(tensor: Any) -> NDArray[np.float32]:
    """A torch tensor as numpy's."""
    values: NDArray[np.float32] = tensor.detach().float().cpu().numpy()
    return values


def _norms(layer: Any, config: Any) -> Norms:
    """The norms of a layer of transformers, which names the one before the MLP otherwise in every family."""
    attention = _norm(layer.input_layernorm, config)
    if config.model_type != _GEMMA:
        return Norms(attention=attention, mlp=_norm(layer.post_attention_layernorm, config))
    return Norms(
        attention=attention,
        mlp=_norm(layer.pre_feedforward_layernorm, config),
        attention_out=_norm(layer.post_attention_layernorm, config),
        mlp_out=_norm(layer.post_feedforward_layernorm, config),
        query=_norm(layer.self_attn.q_norm, config),
        key=_norm(layer.self_attn.k_norm, config),
    )


def _norm(norm: Any, config: Any) -> NDArray[np.float32]:
    weight = array(norm.weight)
    return 1 + weight if config.model_type == _GEMMA else weight  # Gemma's say how far they are from one


def _propagation(layers: Sequence[Any], norms: Sequence[Norms]) -> Linear:
    """One product for all layers: their RMS norms differ by their weights only, which are folded in."""
    weights, biases = [], []
    for layer, norm in zip(layers, norms, strict=True):
        for module in (layer.self_attn.k_proj, layer.self_attn.v_proj):
            weight, bias = linear(module)
            weights.append(weight * norm.attention)
            biases.append(np.zeros(len(weight), np.float32) if bias is None else bias)
    return np.concatenate(weights), np.concatenate(biases)
