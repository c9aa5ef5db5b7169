"""The weights of a transformers model with its exits, as the writers of prepared models take them: fp32, in numpy.

`engine.model.reference.extraction` takes them out of the reference. Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from engine.model.prepared.quantization import InputStatistics

Linear = tuple["NDArray[np.float32]", "NDArray[np.float32] | None"]
"""Weight [N, K] and bias [N] of a product x @ weight.T + bias."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Norms:
    """The weights of a layer's RMS norms; None where its family has none.

    Attributes:
        attention: Norm before attention, [D].
        mlp: Norm before the MLP, [D].
        attention_out: Norm of what attention adds to the residual stream, [D].
        mlp_out: Norm of what the MLP adds to the residual stream, [D].
        query: Norm of each head's queries, [D_head].
        key: Norm of each head's keys, [D_head].
    """

    attention: NDArray[np.float32]
    mlp: NDArray[np.float32]
    attention_out: NDArray[np.float32] | None = None
    mlp_out: NDArray[np.float32] | None = None
    query: NDArray[np.float32] | None = None
    key: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Products:
    """The products of a layer.

    Attributes:
        qkv: Queries, keys and values, one behind the other.
        output: What attention adds to the residual stream.
        up: What the MLP's activation reads: gate and up, one behind the other, or up alone.
        down: What the MLP adds to the residual stream.
    """

    qkv: Linear
    output: Linear
    up: Linear
    down: Linear


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerWeights:
    """What is written of a layer.

    Attributes:
        products: Its products.
        norms: Its norms.
        propagation: Its keys and values, [2 * H_kv * D_head, D], with the norm's weight folded in.
        statistics: What its MLP reads, where its gate and up projections go to 4 bits.
    """

    products: Products
    norms: Norms
    propagation: tuple[NDArray[np.float32], NDArray[np.float32]]
    statistics: InputStatistics | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """What all layers of a model have in common.

    Attributes:
        width: Numbers in a state.
        n_heads: Heads of queries.
        n_kv_heads: Heads of keys and values.
        head_dim: Width of one head.
        mlp_width: Inputs of the down projection.
        activation: The MLP's, as transformers calls it.
        is_gated: Whether it is that of a gate.
        attention_scale: What scores are multiplied by.
    """

    width: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    mlp_width: int
    activation: str
    is_gated: bool
    attention_scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What is written of a model, but for its tables.

    Attributes:
        blocks: What all layers have in common.
        n_layers: How many there are.
        layers: The layers in order, each taken out once it is asked for: all of them would fill the memory twice.
        rotaries: Which table of angles each layer rotates by.
        windows: How many positions a row of each layer sees, its own included; 0 for all.
        final_norm: Norm before the head, [D].
        final_norm_bias: What is added behind it, [D]; None for nothing.
        embedding: Takes out the rows of the vocabulary, [V, D].
        embedding_scale: What a token's embedding is multiplied by.
        norm_epsilon: What every RMS norm adds to the mean square.
        head: Takes out the LM head.
        shortlist: Its rows for the tokens on the shortlist, where there is one.
        exit_maps: The maps that the head reads exits through, by exit.
    """

    blocks: Blocks
    n_layers: int
    layers: Iterator[LayerWeights]
    rotaries: Sequence[int]
    windows: Sequence[int]
    final_norm: NDArray[np.float32]
    final_norm_bias: NDArray[np.float32] | None
    embedding: Callable[[], NDArray[np.float32]]
    embedding_scale: float
    norm_epsilon: float
    head: Callable[[], Linear]
    shortlist: Linear | None
    exit_maps: Mapping[int, Linear]


def linear(*modules: Any) -> Linear:
    """Weight and bias of linear modules, one behind the other."""
    if len(modules) == 1:  # as it lies there: a head is the largest weight of many models
        return array(modules[0].weight), None if modules[0].bias is None else array(modules[0].bias)
    weight = np.concatenate([array(module.weight) for module in modules])
    return weight, None if modules[0].bias is None else np.concatenate([array(module.bias) for module in modules])


def array(tensor: Any) -> NDArray[np.float32]:
    """A torch tensor as numpy's."""
    values: NDArray[np.float32] = tensor.detach().float().cpu().numpy()
    return values
