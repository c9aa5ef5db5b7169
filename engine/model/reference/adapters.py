"""Where the parts of a decoder live in each family of transformers models.

One adapter a family: embedding, layers, rotary tables, norms, LM head, and the K/V projection that propagation needs.
The layers themselves stay transformers' own modules, so a family is right by construction; an adapter knows nothing of
exits, caches or policies. A new family is a row in `engine.model.families`, and a class here if it differs from Llama.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol

import torch

from engine.model.families import supported_family
from engine.model.prepared.weights import Norms, array

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    Rotary = tuple[torch.Tensor, torch.Tensor]  # cos, sin: [1, T, D_head]


class Adapter(Protocol):
    """A causal language model, taken apart."""

    layers: Sequence[nn.Module]
    lm_head: nn.Module
    sliding_windows: Sequence[int | None]  # for each layer: how far back it attends; None for all the way

    def embed(self, token_ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Token ids [1, T] at positions [1, T] to hidden states [1, T, D]."""
        ...

    def rotary(self, hidden: torch.Tensor, positions: torch.Tensor, layer_idx: int) -> Rotary | None:
        """The cos and sin that layer `layer_idx` rotates by, or None; `hidden` gives dtype and device."""
        ...

    def rotary_key(self, layer_idx: int) -> str:
        """Layers with the same key share one rotary table."""
        ...

    def final_norm(self, hidden: torch.Tensor) -> torch.Tensor:
        """The norm before the LM head, [1, T, D] to [1, T, D]."""
        ...

    def head(self, normed: torch.Tensor, lm_head: nn.Module | None = None) -> torch.Tensor:
        """Normed hidden states [1, T, D] to logits [1, T, V]; by another `lm_head` in the place of the model's own."""
        ...

    def project_kv(
        self, layer_idx: int, hidden: torch.Tensor, rotary: Rotary | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Only the keys and values a layer would compute for `hidden`: two of [1, H_kv, T, D_head]."""
        ...


class LlamaAdapter:
    """Llama, SmolLM2, Code Llama, and Qwen2, which differs by biases only.

    Attributes:
        embedding: The table of the vocabulary.
        embedding_scale: What a token's row in it is multiplied by.
        norm_epsilon: What every RMS norm adds to the mean square.
    """

    embedding_scale = 1.0

    def __init__(self, model: Any) -> None:
        self.embedding: Any = model.model.embed_tokens
        self.norm_epsilon = float(model.config.rms_norm_eps)
        self._model = model.model
        self.lm_head = model.lm_head
        self.layers = self._model.layers
        self.sliding_windows = _sliding_windows(model.config)

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
        keys = _split_heads(attention.k_proj(normed), attention.head_dim)
        values = _split_heads(attention.v_proj(normed), attention.head_dim)
        assert rotary is not None
        return _rotate(self._norm_keys(attention, keys), rotary), values

    @property
    def final_norm_weight(self) -> NDArray[np.float32]:
        """What the norm before the LM head multiplies by, [D]."""
        return self._norm_weight(self._model.norm)

    def norms(self, layer_idx: int) -> Norms:
        """What the norms of a layer multiply by."""
        layer: Any = self.layers[layer_idx]
        return Norms(
            attention=self._norm_weight(layer.input_layernorm), mlp=self._norm_weight(layer.post_attention_layernorm)
        )

    def _norm_weight(self, norm: Any) -> NDArray[np.float32]:
        return array(norm.weight)

    def _norm_keys(self, attention: Any, keys: torch.Tensor) -> torch.Tensor:
        return keys


class Gemma3Adapter(LlamaAdapter):
    """Gemma 3 (text): sliding and full attention layers with a rotary table each, keys normed before rotation."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self._layer_types: Sequence[str] = model.config.layer_types
        self.embedding_scale = float(self.embedding.embed_scale)

    def rotary(self, hidden: torch.Tensor, positions: torch.Tensor, layer_idx: int) -> Rotary | None:
        """See `Adapter.rotary`."""
        layer_type = self._layer_types[layer_idx]
        return self._model.rotary_emb(hidden, positions, layer_type)  # type: ignore[no-any-return]  # untyped

    def rotary_key(self, layer_idx: int) -> str:
        """See `Adapter.rotary_key`."""
        return self._layer_types[layer_idx]

    def norms(self, layer_idx: int) -> Norms:
        """See `LlamaAdapter.norms`; Gemma norms what attention and MLP add, and queries and keys, as well."""
        layer: Any = self.layers[layer_idx]
        return Norms(
            attention=self._norm_weight(layer.input_layernorm),
            mlp=self._norm_weight(layer.pre_feedforward_layernorm),
            attention_out=self._norm_weight(layer.post_attention_layernorm),
            mlp_out=self._norm_weight(layer.post_feedforward_layernorm),
            query=self._norm_weight(layer.self_attn.q_norm),
            key=self._norm_weight(layer.self_attn.k_norm),
        )

    def _norm_weight(self, norm: Any) -> NDArray[np.float32]:
        return 1 + array(norm.weight)  # Gemma's say how far they are from one

    def _norm_keys(self, attention: Any, keys: torch.Tensor) -> torch.Tensor:
        return attention.k_norm(keys)  # type: ignore[no-any-return]  # untyped module


class OptAdapter:
    """OPT: learned positions added at the embedding, biases, and a projection round the head in the 350M model."""

    def __init__(self, model: Any) -> None:
        self._decoder = model.model.decoder
        self.lm_head = model.lm_head
        self.layers = self._decoder.layers
        self.sliding_windows: Sequence[int | None] = [None] * len(self.layers)

    def embed(self, token_ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """See `Adapter.embed`."""
        decoder = self._decoder
        embedded = decoder.embed_tokens(token_ids)
        if decoder.project_in is not None:
            embedded = decoder.project_in(embedded)
        return embedded + decoder.embed_positions(None, 0, position_ids=positions)  # type: ignore[no-any-return]  # untyped

    def rotary(self, hidden: torch.Tensor, positions: torch.Tensor, layer_idx: int) -> Rotary | None:
        """None: OPT's positions are learned."""
        return None

    def rotary_key(self, layer_idx: int) -> str:
        """See `Adapter.rotary_key`."""
        return ""

    def final_norm(self, hidden: torch.Tensor) -> torch.Tensor:
        """See `Adapter.final_norm`; the 350M model has none."""
        norm = self._decoder.final_layer_norm
        return hidden if norm is None else norm(hidden)

    def head(self, normed: torch.Tensor, lm_head: nn.Module | None = None) -> torch.Tensor:
        """See `Adapter.head`."""
        project_out = self._decoder.project_out
        projected = normed if project_out is None else project_out(normed)
        return (lm_head or self.lm_head)(projected)  # type: ignore[no-any-return]  # untyped

    def project_kv(
        self, layer_idx: int, hidden: torch.Tensor, rotary: Rotary | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Adapter.project_kv`."""
        layer: Any = self.layers[layer_idx]
        attention = layer.self_attn
        normed = layer.self_attn_layer_norm(hidden) if layer.do_layer_norm_before else hidden
        keys = _split_heads(attention.k_proj(normed), attention.head_dim)
        return keys, _split_heads(attention.v_proj(normed), attention.head_dim)


# Whose parts lie or count otherwise than Llama's.
_ADAPTERS: Mapping[str, Callable[[Any], Adapter]] = {"gemma3_text": Gemma3Adapter, "opt": OptAdapter}


def adapter_for(model: Any) -> Adapter:
    """Takes a transformers causal language model apart.

    Raises:
        UnsupportedModelError: If the model's family is not supported.
    """
    family = supported_family(model.config.model_type, "The model")
    return _ADAPTERS.get(family.name, LlamaAdapter)(model)


def cache_argument(layer: nn.Module) -> str:
    """The name by which a layer's `forward` takes the cache: `cache` since transformers 5.24, else `past_key_values`.

    The signature decides. Before 5.24 a layer takes the new name among its `**kwargs` and decodes without a cache.
    """
    return "cache" if "cache" in inspect.signature(layer.forward).parameters else "past_key_values"


def _sliding_windows(config: Any) -> Sequence[int | None]:
    layer_types = getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers
    return [config.sliding_window if kind == "sliding_attention" else None for kind in layer_types]


def _split_heads(projected: torch.Tensor, head_dim: int) -> torch.Tensor:
    # [1, T, H * D_head] -> [1, H, T, D_head]
    batch, length, _ = projected.shape
    return projected.view(batch, length, -1, head_dim).transpose(1, 2)


def _rotate(keys: torch.Tensor, rotary: Rotary) -> torch.Tensor:
    # RoPE in the half-split layout of these families (arXiv 2104.09864)
    cos, sin = (table.unsqueeze(1) for table in rotary)  # [1, 1, T, D_head]
    first, second = keys.chunk(2, dim=-1)
    return keys * cos + torch.cat((-second, first), dim=-1) * sin
