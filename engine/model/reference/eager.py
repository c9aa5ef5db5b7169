"""The reference runner: transformers' own layers, called one by one, on any device and for every supported family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch

from engine.model.reference.adapters import Adapter, adapter_for, cache_argument
from engine.model.reference.kv_cache import LayeredKVCache
from engine.types import ModelGeometry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from engine.model.layer_runner import KVCache, LayerRunner
    from engine.model.reference.trained_exits import TrainedExits


def backbone_of(runner: LayerRunner) -> Any:
    """The transformers model behind the reference runner, for those who train it or call its own methods."""
    assert isinstance(runner, TorchRunner), "load the model with `reference=True`"
    return runner.backbone


class KVWriter(Protocol):
    """What transformers' attention modules call of a cache."""

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Stores [1, H_kv, T, D_head] keys and values of one layer and returns what its queries attend to."""
        ...


class TorchRunner:
    """See `LayerRunner`; no gradients.

    Attributes:
        backbone: The transformers model itself.
        adapter: Where its parts are.
        trained_exits: What the head reads exits through, on the model's device; None where nothing was trained.
    """

    def __init__(self, backbone: Any, trained_exits: TrainedExits | None = None) -> None:
        """Wraps a transformers causal language model.

        Args:
            backbone: The model, adapted already where `trained_exits` ask for it.
            trained_exits: Its trained exits.

        Raises:
            UnsupportedModelError: If no adapter knows the model's family.
        """
        self.backbone = backbone
        self.adapter: Adapter = adapter_for(backbone)
        self._cache_argument = cache_argument(self.adapter.layers[0])
        self.n_layers = len(self.adapter.layers)
        self.max_positions = int(backbone.config.max_position_embeddings)
        self.geometry = _geometry(backbone, self.adapter.layers)
        self._device = next(backbone.parameters()).device
        self.n_vocabulary = int(backbone.lm_head.out_features)
        self.trained_exits = None if trained_exits is None else trained_exits.to(backbone.lm_head.weight)
        listed = None if trained_exits is None else trained_exits.shortlist
        self.shortlist: NDArray[np.int64] | None = None if listed is None else listed.numpy()
        self._shortlist_head = None if listed is None else _rows(backbone.lm_head, listed.to(self._device))

    @property
    def callers(self) -> int:
        """See `LayerRunner.callers`."""
        return 1

    def use_cores(self, *, all_cores: bool) -> None:
        """See `LayerRunner.use_cores`; torch keeps the threads that it was given."""

    def new_cache(self) -> LayeredKVCache:
        """See `LayerRunner.new_cache`."""
        return LayeredKVCache(self.n_layers)

    @torch.inference_mode()
    def embed(self, token_ids: Sequence[int], position: int) -> torch.Tensor:
        """See `LayerRunner.embed`."""
        return self.adapter.embed(self._on_device(token_ids), self._positions(position, len(token_ids)))

    @torch.inference_mode()
    def run_layers(self, hidden: torch.Tensor, start: int, stop: int, cache: KVCache) -> torch.Tensor:
        """See `LayerRunner.run_layers`."""
        assert isinstance(cache, LayeredKVCache)
        return self._run(hidden, start, stop, cache.lengths[start], cache)

    @torch.inference_mode()
    def propagate(self, hidden: torch.Tensor, start: int, cache: KVCache) -> None:
        """See `LayerRunner.propagate`."""
        assert isinstance(cache, LayeredKVCache)
        self._propagate(hidden, start, self._positions(cache.lengths[start], hidden.shape[1]), cache)

    def concatenate(self, before: torch.Tensor, behind: torch.Tensor) -> torch.Tensor:
        """See `LayerRunner.concatenate`."""
        return torch.cat((before, behind), dim=1)

    @torch.inference_mode()
    def final_norm(self, hidden: torch.Tensor) -> torch.Tensor:
        """See `LayerRunner.final_norm`."""
        return self.adapter.final_norm(hidden)

    @torch.inference_mode()
    def map_exit(self, normed: torch.Tensor, exit_layer: int) -> torch.Tensor:
        """See `LayerRunner.map_exit`."""
        return normed if self.trained_exits is None else self.trained_exits.apply(normed, exit_layer)

    @torch.inference_mode()
    def head(self, normed: torch.Tensor) -> torch.Tensor:
        """See `LayerRunner.head`."""
        return self.adapter.head(normed)

    @torch.inference_mode()
    def head_rows(self, token_ids: Sequence[int]) -> torch.nn.Linear | None:
        """See `LayerRunner.head_rows`."""
        return _rows(self.backbone.lm_head, self._on_device(token_ids)[0]) if token_ids else None

    @torch.inference_mode()
    def shortlist_head(self, normed: torch.Tensor, further: torch.nn.Linear | None) -> torch.Tensor:
        """See `LayerRunner.shortlist_head`."""
        assert self._shortlist_head is not None
        listed = self.adapter.head(normed, self._shortlist_head)
        return listed if further is None else torch.cat((listed, self.adapter.head(normed, further)), dim=-1)

    def to_numpy(self, array: torch.Tensor) -> NDArray[np.float32]:
        """See `LayerRunner.to_numpy`."""
        copy: NDArray[np.float32] = array.float().cpu().numpy()
        return copy

    def _run(self, hidden: torch.Tensor, start: int, stop: int, position: int, cache: KVWriter) -> torch.Tensor:
        """Layers start to stop - 1 for rows [1, T, D] that stand from `position` on."""
        length = hidden.shape[1]
        return self._run_masked(
            hidden,
            range(start, stop),
            self._positions(position, length),
            lambda window: _causal_mask(position, length, window, self._device),
            cache,
        )

    def _run_masked(
        self,
        hidden: torch.Tensor,
        layers: range,
        positions: torch.Tensor,
        mask_for: Callable[[int | None], torch.Tensor | None],
        cache: KVWriter,
    ) -> torch.Tensor:
        """Some layers for rows [1, T, D] at positions [1, T], with a mask for each sliding window."""
        rotaries: dict[str, tuple[torch.Tensor, torch.Tensor] | None] = {}
        masks: dict[int | None, torch.Tensor | None] = {}
        for idx in layers:
            key, window = self.adapter.rotary_key(idx), self.adapter.sliding_windows[idx]
            if key not in rotaries:
                rotaries[key] = self.adapter.rotary(hidden, positions, idx)
            if window not in masks:
                masks[window] = mask_for(window)
            hidden = self.adapter.layers[idx](
                hidden,
                attention_mask=masks[window],
                position_ids=positions,
                position_embeddings=rotaries[key],
                use_cache=True,
                **{self._cache_argument: cache},
            )
        return hidden

    def _propagate(self, hidden: torch.Tensor, start: int, positions: torch.Tensor, cache: KVWriter) -> None:
        """Keys and values of the layers from `start` on for rows [1, T, D] at positions [1, T]."""
        rotaries: dict[str, tuple[torch.Tensor, torch.Tensor] | None] = {}
        for idx in range(start, self.n_layers):
            key = self.adapter.rotary_key(idx)
            if key not in rotaries:
                rotaries[key] = self.adapter.rotary(hidden, positions, idx)
            keys, values = self.adapter.project_kv(idx, hidden, rotaries[key])
            cache.update(keys, values, idx)

    def _on_device(self, token_ids: Sequence[int]) -> torch.Tensor:
        return torch.tensor([token_ids], device=self._device)

    def _positions(self, start: int, length: int) -> torch.Tensor:
        return torch.arange(start, start + length, device=self._device).unsqueeze(0)


def _rows(head: Any, ids: torch.Tensor) -> torch.nn.Linear:
    """The head over some tokens alone."""
    listed = torch.nn.Linear(head.in_features, len(ids), bias=head.bias is not None, device="meta")
    listed.weight = torch.nn.Parameter(head.weight.detach()[ids], requires_grad=False)
    if head.bias is not None:
        listed.bias = torch.nn.Parameter(head.bias.detach()[ids], requires_grad=False)
    return listed


def _causal_mask(position: int, length: int, window: int | None, device: torch.device) -> torch.Tensor | None:
    """The mask for `length` queries that stand after `position` cached positions, [1, 1, T, position + T].

    None where scaled_dot_product_attention needs none: one query, or a square causal block.
    """
    total = position + length
    if (length == 1 or position == 0) and (window is None or total <= window):
        return None
    return visible(torch.arange(position, total, device=device), total, window)


def visible(positions: torch.Tensor, n_positions: int, window: int | None) -> torch.Tensor:
    """Which of the first `n_positions` the queries at positions [T] attend to, [1, 1, T, n_positions]."""
    rows = positions.unsqueeze(1)
    columns = torch.arange(n_positions, device=positions.device).unsqueeze(0)
    mask = columns <= rows
    if window is not None:
        mask &= columns > rows - window
    return mask[None, None]


def _geometry(model: Any, layers: Sequence[Any]) -> ModelGeometry:
    parameters = [sum(p.numel() for p in layer.parameters()) for layer in layers]
    attention = layers[0].self_attn
    kv_params = sum(p.numel() for m in (attention.k_proj, attention.v_proj) for p in m.parameters())
    weight = model.lm_head.weight
    geometry = ModelGeometry(
        n_layers=len(layers),
        layer_params=sum(parameters) // len(parameters),
        kv_params=kv_params,
        head_params=weight.numel(),
        bytes_per_param=float(weight.element_size()),
    )
    return geometry.with_cache(
        key_width=attention.k_proj.weight.shape[0],
        query_width=attention.q_proj.weight.shape[0],
        bytes_per_value=weight.element_size(),
    )
