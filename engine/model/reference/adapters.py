"""Where the parts of a decoder live in each family of transformers models.

One adapter a family: embedding, layers, rotary tables, norms, LM head, and the K/V projection that propagation needs.
The layers themselves stay transformers' own modules, so a family is right by construction; an adapter knows nothing of
exits, caches or policies. A new family is a row in `engine.model.families`, and a class here, or in `llama_adapters` or
`folded_adapters` where it can be prepared, if it differs from Llama.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol

from engine.model.families import supported_family
from engine.model.reference.folded_adapters import GraniteAdapter, GraniteHybridAdapter, Starcoder2Adapter
from engine.model.reference.llama_adapters import Gemma3Adapter, LlamaAdapter, Qwen3Adapter, split_heads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch
    from torch import nn

    from engine.model.reference.llama_adapters import Rotary


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
        keys = split_heads(attention.k_proj(normed), attention.head_dim)
        return keys, split_heads(attention.v_proj(normed), attention.head_dim)


# Whose parts lie or count otherwise than Llama's.
_ADAPTERS: Mapping[str, Callable[[Any], Adapter]] = {
    "qwen3": Qwen3Adapter,
    "gemma3_text": Gemma3Adapter,
    "granite": GraniteAdapter,
    "granitemoehybrid": GraniteHybridAdapter,
    "starcoder2": Starcoder2Adapter,
    "opt": OptAdapter,
}


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
