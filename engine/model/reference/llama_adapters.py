"""Adapters of families with Llama's blocks: they say as well what a prepared model is written from.

`engine.model.reference.adapters` says what an adapter is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from engine.model.prepared.weights import Norms, Products, array, linear

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from engine.model.prepared.weights import Linear
    from engine.model.reference.eager import TorchRunner

Rotary = tuple[torch.Tensor, torch.Tensor]
"""Cos and sin, each [1, T, D_head]."""


class LlamaAdapter:
    """Llama, SmolLM2, Code Llama, and Qwen2, which differs by biases only.

    Attributes:
        embedding_scale: What a token's row of `embedding` is multiplied by.
        norm_epsilon: What every norm adds to the mean square.
        is_gated: Whether the MLP's activation is of a gate.
    """

    embedding_scale = 1.0
    is_gated = True

    def __init__(self, model: Any) -> None:
        self.norm_epsilon = self._norm_epsilon(model.config)
        self._model = model.model
        self.lm_head = model.lm_head
        self.layers = self._model.layers
        self.sliding_windows = sliding_windows_of(model.config)

    def embed(self, token_ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """See `Adapter.embed`; positions enter in the layers."""
        return self._model.embed_tokens(token_ids)  # type: ignore[no-any-return]  # untyped module

    def rotary(self, hidden: torch.Tensor, positions: torch.Tensor, layer_idx: int) -> Rotary | None:
        """See `Adapter.rotary`; one table for all layers."""
        return self._model.rotary_emb(hidden, positions)  # type: ignore[no-any-return]  # untyped module

    def rotary_key(self, layer_idx: int) -> str:
        """See `Adapter.rotary_key`."""
        return ""

    def final_norm(self, hidden: torch.Tensor) -> torch.Tensor:
        """See `Adapter.final_norm`."""
        return self._model.norm(hidden)  # type: ignore[no-any-return]  # untyped module

    def head(self, normed: torch.Tensor, lm_head: nn.Module | None = None) -> torch.Tensor:
        """See `Adapter.head`."""
        return (lm_head or self.lm_head)(normed)  # type: ignore[no-any-return]  # untyped module

    def project_kv(
        self, layer_idx: int, hidden: torch.Tensor, rotary: Rotary | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Adapter.project_kv`."""
        layer: Any = self.layers[layer_idx]
        attention = layer.self_attn
        normed = layer.input_layernorm(hidden)
        keys = split_heads(attention.k_proj(normed), attention.head_dim)
        values = split_heads(attention.v_proj(normed), attention.head_dim)
        keys = self._norm_keys(attention, keys)
        return keys if rotary is None else _rotate(keys, rotary), values

    @property
    def embedding(self) -> NDArray[np.float32]:
        """Rows of the vocabulary, [V, D]."""
        return array(self._model.embed_tokens.weight)

    @property
    def head_product(self) -> Linear:
        """The LM head, as a product of normed states."""
        return linear(self.lm_head)

    @property
    def final_norm_weight(self) -> NDArray[np.float32]:
        """What the norm before the LM head multiplies by, [D]."""
        return self._norm_weight(self._model.norm)

    @property
    def final_norm_bias(self) -> NDArray[np.float32] | None:
        """What that norm adds behind it, [D]; None where it adds nothing."""
        return None

    def norms(self, layer_idx: int) -> Norms:
        """What the norms of a layer multiply by."""
        layer: Any = self.layers[layer_idx]
        return Norms(
            attention=self._norm_weight(layer.input_layernorm), mlp=self._norm_weight(layer.post_attention_layernorm)
        )

    def products(self, layer_idx: int) -> Products:
        """The products of a layer."""
        attention: Any = self.layers[layer_idx].self_attn
        up, down = self._mlp_products(layer_idx)
        return Products(
            qkv=linear(attention.q_proj, attention.k_proj, attention.v_proj),
            output=linear(attention.o_proj),
            up=up,
            down=down,
        )

    def mlp(self, layer_idx: int) -> Any:
        """The module that is a layer's MLP."""
        return self.layers[layer_idx].mlp

    def mlp_shift(self, layer_idx: int) -> NDArray[np.float32] | None:
        """What the MLP reads less once it is prepared, [D], as it has gone into the bias; None where it is nothing."""
        return None

    def _mlp_products(self, layer_idx: int) -> tuple[Linear, Linear]:
        mlp = self.mlp(layer_idx)
        return linear(mlp.gate_proj, mlp.up_proj), linear(mlp.down_proj)

    def _norm_epsilon(self, config: Any) -> float:
        return float(config.rms_norm_eps)

    def _norm_weight(self, norm: Any) -> NDArray[np.float32]:
        return array(norm.weight)

    def _norm_keys(self, attention: Any, keys: torch.Tensor) -> torch.Tensor:
        return keys


class Qwen3Adapter(LlamaAdapter):
    """Qwen3: queries and keys are normed before rotation."""

    def norms(self, layer_idx: int) -> Norms:
        """See `LlamaAdapter.norms`."""
        attention: Any = self.layers[layer_idx].self_attn
        norms = super().norms(layer_idx)
        return replace(norms, query=self._norm_weight(attention.q_norm), key=self._norm_weight(attention.k_norm))

    def _norm_keys(self, attention: Any, keys: torch.Tensor) -> torch.Tensor:
        return attention.k_norm(keys)  # type: ignore[no-any-return]  # untyped module


class Gemma3Adapter(Qwen3Adapter):
    """Gemma 3 (text): sliding and full attention layers with a rotary table each, keys normed before rotation."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self._layer_types: Sequence[str] = model.config.layer_types
        self.embedding_scale = float(self._model.embed_tokens.embed_scale)

    def rotary(self, hidden: torch.Tensor, positions: torch.Tensor, layer_idx: int) -> Rotary | None:
        """See `Adapter.rotary`."""
        layer_type = self._layer_types[layer_idx]
        return self._model.rotary_emb(hidden, positions, layer_type)  # type: ignore[no-any-return]  # untyped

    def rotary_key(self, layer_idx: int) -> str:
        """See `Adapter.rotary_key`."""
        return self._layer_types[layer_idx]

    def norms(self, layer_idx: int) -> Norms:
        """See `LlamaAdapter.norms`; Gemma norms what attention and MLP add as well."""
        layer: Any = self.layers[layer_idx]
        return replace(
            super().norms(layer_idx),
            mlp=self._norm_weight(layer.pre_feedforward_layernorm),
            attention_out=self._norm_weight(layer.post_attention_layernorm),
            mlp_out=self._norm_weight(layer.post_feedforward_layernorm),
        )

    def _norm_weight(self, norm: Any) -> NDArray[np.float32]:
        return 1 + array(norm.weight)  # Gemma's say how far they are from one


def adapter_of(runner: TorchRunner) -> LlamaAdapter:
    """The adapter of a model that can be prepared."""
    adapter = runner.adapter
    assert isinstance(adapter, LlamaAdapter)  # as those of all families with a fast runner are
    return adapter


def sliding_windows_of(config: Any) -> Sequence[int | None]:
    """For each layer, how far back it attends; None for all the way."""
    layer_types = getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers
    return [config.sliding_window if kind == "sliding_attention" else None for kind in layer_types]


def split_heads(projected: torch.Tensor, head_dim: int) -> torch.Tensor:
    """[1, T, H * D_head] to [1, H, T, D_head]."""
    batch, length, _ = projected.shape
    return projected.view(batch, length, -1, head_dim).transpose(1, 2)


def _rotate(keys: torch.Tensor, rotary: Rotary) -> torch.Tensor:
    # RoPE in the half-split layout of these families (arXiv 2104.09864)
    cos, sin = (table.unsqueeze(1) for table in rotary)  # [1, 1, T, D_head]
    first, second = keys.chunk(2, dim=-1)
    return keys * cos + torch.cat((-second, first), dim=-1) * sin
