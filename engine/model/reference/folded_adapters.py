"""Adapters of families that are Llama's once numbers of theirs are folded into weights, when a model is prepared.

Granite multiplies in places; StarCoder2 norms by LayerNorm, whose mean and bias other weights can take over. What
transformers computes stays as it is: only what is written differs, and the states between layers with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.model.prepared.weights import Products, array, linear
from engine.model.reference.llama_adapters import LlamaAdapter

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import nn

    from engine.model.prepared.weights import Linear
    from engine.model.reference.llama_adapters import Rotary


class GraniteAdapter(LlamaAdapter):
    """Granite: embeddings, what layers add, and logits are scaled. Attention's own scale is read where it stands."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        config = model.config
        self._embedding_multiplier = float(config.embedding_multiplier)
        self._residual_multiplier = float(config.residual_multiplier)
        self._logits_scaling = float(config.logits_scaling)
        self.embedding_scale = self._embedding_multiplier * self._logits_scaling  # see `embedding`

    def embed(self, token_ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """See `Adapter.embed`."""
        return super().embed(token_ids, positions) * self._embedding_multiplier

    def head(self, normed: torch.Tensor, lm_head: nn.Module | None = None) -> torch.Tensor:
        """See `Adapter.head`."""
        return super().head(normed, lm_head) / self._logits_scaling

    @property
    def embedding(self) -> NDArray[np.float32]:
        """See `LlamaAdapter.embedding`; as the head is scaled, so that one table serves both where they are tied."""
        return super().embedding / self._logits_scaling

    @property
    def head_product(self) -> Linear:
        """See `LlamaAdapter.head_product`."""
        return _scaled(super().head_product, 1 / self._logits_scaling)

    def products(self, layer_idx: int) -> Products:
        """See `LlamaAdapter.products`."""
        products = super().products(layer_idx)
        return Products(
            qkv=products.qkv,
            output=_scaled(products.output, self._residual_multiplier),
            up=products.up,
            down=_scaled(products.down, self._residual_multiplier),
        )


class GraniteHybridAdapter(GraniteAdapter):
    """Granite 4 dense: its layers are those of the hybrids, of which they have attention and the shared MLP alone."""

    def rotary(self, hidden: torch.Tensor, positions: torch.Tensor, layer_idx: int) -> Rotary | None:
        """See `Adapter.rotary`; some know no positions."""
        return None if self._model.rotary_emb is None else super().rotary(hidden, positions, layer_idx)

    def mlp(self, layer_idx: int) -> Any:
        """See `LlamaAdapter.mlp`."""
        return self.layers[layer_idx].shared_mlp

    def _mlp_products(self, layer_idx: int) -> tuple[Linear, Linear]:
        mlp = self.mlp(layer_idx)
        return linear(mlp.input_linear), linear(mlp.output_linear)


class Starcoder2Adapter(LlamaAdapter):
    """StarCoder2: LayerNorm with a bias, an MLP without a gate, and a bias on every product.

    LayerNorm takes the mean away. Where all that is added to a state has a mean of zero, so has the state, and its norm
    is Llama's: embeddings and the outputs of both blocks are written without their mean. The norm's bias goes into that
    of the product behind it.
    """

    is_gated = False

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.sliding_windows = [model.config.sliding_window] * len(self.layers)

    @property
    def embedding(self) -> NDArray[np.float32]:
        """See `LlamaAdapter.embedding`."""
        embedding = super().embedding
        centred: NDArray[np.float32] = embedding - embedding.mean(1, keepdims=True)
        return centred

    @property
    def final_norm_bias(self) -> NDArray[np.float32] | None:
        """See `LlamaAdapter.final_norm_bias`."""
        return array(self._model.norm.bias)

    def products(self, layer_idx: int) -> Products:
        """See `LlamaAdapter.products`."""
        layer: Any = self.layers[layer_idx]
        products = super().products(layer_idx)
        return Products(
            qkv=_behind_bias(array(layer.input_layernorm.bias), products.qkv),
            output=_centred(products.output),
            up=_behind_bias(array(layer.post_attention_layernorm.bias), products.up),
            down=_centred(products.down),
        )

    def mlp_shift(self, layer_idx: int) -> NDArray[np.float32] | None:
        """See `LlamaAdapter.mlp_shift`."""
        layer: Any = self.layers[layer_idx]
        return array(layer.post_attention_layernorm.bias)

    def _mlp_products(self, layer_idx: int) -> tuple[Linear, Linear]:
        mlp = self.mlp(layer_idx)
        return linear(mlp.c_fc), linear(mlp.c_proj)

    def _norm_epsilon(self, config: Any) -> float:
        return float(config.norm_epsilon)


def _scaled(product: Linear, factor: float) -> Linear:
    weight, bias = product
    return weight * factor, None if bias is None else bias * factor


def _behind_bias(norm_bias: NDArray[np.float32], product: Linear) -> Linear:
    """The product of what a norm gives before it adds its bias."""
    weight, bias = product
    added = weight @ norm_bias
    return weight, added if bias is None else bias + added


def _centred(product: Linear) -> Linear:
    """The product without the mean of its outputs."""
    weight, bias = product
    return weight - weight.mean(0), None if bias is None else bias - bias.mean()
