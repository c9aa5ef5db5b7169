"""A language model cut into segments of layers between exits.

It runs what it is told to run: embed, a range of layers, the head at an exit, the propagation into skipped layers.
It knows no policy, no sampling, no text.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import torch

from engine.errors import ConfigError
from engine.model.architectures import DecoderParts, decoder_parts
from engine.model.kv_cache import LayeredKVCache
from engine.model.shortcuts import UNTRAINED, model_fingerprint
from engine.types import ModelGeometry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.shortcuts import Shortcuts

_EXIT_EVERY = 3  # default distance between exits: the policy decides often enough, and a check stays cheap


class EarlyExitModel:
    """The layers of a transformers model with exits between them. Batch 1, one device, no gradients.

    Attributes:
        exit_layers: Layers after which a token may leave, ascending, without the last.
        n_layers: Full depth.
        backbone: The transformers model itself.
        fingerprint: Names the base weights; see `model_fingerprint`.
        exits_fingerprint: Names the trained exits, "untrained" where there are none.
        shortcuts: What the head reads exits through; None where nothing was trained.
    """

    def __init__(
        self,
        model: Any,
        exit_layers: Sequence[int] | None = None,
        shortcuts: Shortcuts | None = None,
        *,
        fingerprint: str | None = None,
    ) -> None:
        """Cuts `model` at `exit_layers`; None for every third layer.

        `fingerprint` is that of the base weights, where `model` has been adapted since.

        Raises:
            UnsupportedModelError: If no adapter knows the model's family.
            ConfigError: If an exit lies outside the model.
        """
        self._parts: DecoderParts = decoder_parts(model)
        self.n_layers = len(self._parts.layers)
        self.exit_layers = _checked_exits(exit_layers, self.n_layers)
        bounds = (0, *self.exit_layers, self.n_layers)
        self.segments = tuple(itertools.pairwise(bounds))
        self.device = next(model.parameters()).device
        self.max_positions = int(model.config.max_position_embeddings)
        self.geometry = _geometry(model, self._parts.layers)
        self.backbone = model
        self.fingerprint = fingerprint or model_fingerprint(model)
        self.shortcuts = None if shortcuts is None else shortcuts.to(model.lm_head.weight)
        self.exits_fingerprint = UNTRAINED if shortcuts is None else shortcuts.fingerprint

    def new_cache(self) -> LayeredKVCache:
        """An empty cache for this model."""
        return LayeredKVCache(self.n_layers)

    def embed(self, token_ids: Sequence[int], position: int) -> torch.Tensor:
        """Token ids that stand from `position` on, to hidden states [1, T, D]."""
        ids = torch.tensor([token_ids], device=self.device)
        return self._parts.embed(ids, self._positions(position, len(token_ids)))

    def run_layers(self, hidden: torch.Tensor, start: int, stop: int, cache: LayeredKVCache) -> torch.Tensor:
        """Runs layers start to stop - 1 for hidden states [1, T, D] that follow what is in the cache."""
        position, length = cache.lengths[start], hidden.shape[1]
        positions = self._positions(position, length)
        rotaries: dict[str, tuple[torch.Tensor, torch.Tensor] | None] = {}
        masks: dict[int | None, torch.Tensor | None] = {}
        for idx in range(start, stop):
            key, window = self._parts.rotary_key(idx), self._parts.sliding_windows[idx]
            if key not in rotaries:
                rotaries[key] = self._parts.rotary(hidden, positions, idx)
            if window not in masks:
                masks[window] = _causal_mask(position, length, window, self.device)
            hidden = self._parts.layers[idx](
                hidden,
                attention_mask=masks[window],
                position_ids=positions,
                position_embeddings=rotaries[key],
                past_key_values=cache,
                use_cache=True,
            )
        return hidden

    def propagate(self, hidden: torch.Tensor, start: int, cache: LayeredKVCache) -> None:
        """Fills layers from `start` on with keys and values computed from an exit's hidden states [1, T, D].

        Approximate: the state that those layers would have seen is taken to be the exit's (CALM, arXiv 2207.07061).
        """
        positions = self._positions(cache.lengths[start], hidden.shape[1])
        rotaries: dict[str, tuple[torch.Tensor, torch.Tensor] | None] = {}
        for idx in range(start, self.n_layers):
            key = self._parts.rotary_key(idx)
            if key not in rotaries:
                rotaries[key] = self._parts.rotary(hidden, positions, idx)
            keys, values = self._parts.project_kv(idx, hidden, rotaries[key])
            cache.update(keys, values, idx)

    def exit_state(self, hidden: torch.Tensor, exit_layer: int) -> torch.Tensor:
        """Hidden states after `exit_layer` layers, normed as for the LM head: [1, T, D] to [1, T, D]."""
        return self._parts.final_norm(hidden)

    def logits(self, state: torch.Tensor, exit_layer: int) -> torch.Tensor:
        """The LM head at an exit, through its shortcut: states of `exit_state` [1, T, D] to logits [1, T, V].

        The shortcut is applied here and not in `exit_state`, so that only those exits pay for it whose head is asked.
        """
        if self.shortcuts is not None and exit_layer < self.n_layers:
            state = self.shortcuts.apply(state, exit_layer)
        return self._parts.head(state)

    def _positions(self, start: int, length: int) -> torch.Tensor:
        return torch.arange(start, start + length, device=self.device).unsqueeze(0)


def _checked_exits(exit_layers: Sequence[int] | None, n_layers: int) -> tuple[int, ...]:
    if exit_layers is None:
        return tuple(range(_EXIT_EVERY, n_layers, _EXIT_EVERY))
    exits = tuple(sorted(set(exit_layers)))
    if exits and (exits[0] < 1 or exits[-1] >= n_layers):
        raise ConfigError(f"Exit layers must lie between 1 and {n_layers - 1} for this model, not {list(exits)}.")
    return exits


def _causal_mask(position: int, length: int, window: int | None, device: torch.device) -> torch.Tensor | None:
    """The mask for `length` queries that stand after `position` cached positions, [1, 1, T, position + T].

    None where scaled_dot_product_attention needs none: one query, or a square causal block.
    """
    total = position + length
    if (length == 1 or position == 0) and (window is None or total <= window):
        return None
    rows = torch.arange(position, total, device=device).unsqueeze(1)
    columns = torch.arange(total, device=device).unsqueeze(0)
    mask = columns <= rows
    if window is not None:
        mask &= columns > rows - window
    return mask[None, None]


def _geometry(model: Any, layers: Sequence[Any]) -> ModelGeometry:
    parameters = [sum(p.numel() for p in layer.parameters()) for layer in layers]
    attention = layers[0].self_attn
    kv_params = sum(p.numel() for m in (attention.k_proj, attention.v_proj) for p in m.parameters())
    weight = model.lm_head.weight
    return ModelGeometry(
        n_layers=len(layers),
        layer_params=sum(parameters) // len(parameters),
        kv_params=kv_params,
        head_params=weight.numel(),
        bytes_per_param=float(weight.element_size()),
    )
