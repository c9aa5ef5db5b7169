"""One set of buffers for keys and values, in which the caches of several texts take turns.

What was recorded for a GPU is bound to the addresses that it reads: with buffers of its own, each text would need
recordings of its own. So the text that runs has the buffers, and when another one's turn comes, its filled positions
are copied out and kept until it returns; for the default model that is 23 KB a position, which a GPU copies in
microseconds. It knows no graphs and no models.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

_CAPACITY_STEP = 1024  # positions


class KVBuffers:
    """Keys and values of all layers, [L, 2, H_kv, capacity, D_head]; never shrinks.

    Attributes:
        stored: The buffers, in one tensor.
    """

    def __init__(
        self, *, n_layers: int, n_kv_heads: int, head_dim: int, max_positions: int, like: torch.Tensor
    ) -> None:
        """Takes no memory until a cache is admitted.

        Args:
            n_layers: Layers of the model.
            n_kv_heads: Heads of keys and values in each layer.
            head_dim: Width of one head.
            max_positions: How far it grows by whole steps.
            like: Gives dtype and device.
        """
        self.stored = like.new_zeros(n_layers, 2, n_kv_heads, 0, head_dim)
        self._max_positions = max_positions
        self._holder: weakref.ref[StaticKVCache] | None = None

    @property
    def capacity(self) -> int:
        """Positions that there is room for."""
        return self.stored.shape[3]

    def held_by(self, cache: StaticKVCache) -> bool:
        """Whether this cache has the buffers now."""
        return self._holder is not None and self._holder() is cache

    def layer(self, layer_idx: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of one layer at full capacity, filled or not, each [1, H_kv, capacity, D_head]."""
        keys, values = self.stored[layer_idx].unsqueeze(1)
        return keys, values

    def admit(self, cache: StaticKVCache, n_positions: int) -> None:
        """Gives this cache the buffers, with room for `n_positions`; parks the cache that had them."""
        if n_positions > self.capacity:
            self._grow(n_positions)
        if self.held_by(cache):
            return
        holder = None if self._holder is None else self._holder()
        if holder is not None:
            holder.parked = self.stored[..., : max(holder.lengths), :].clone()
        if cache.parked is not None:
            self.stored[..., : cache.parked.shape[3], :] = cache.parked
            cache.parked = None
        self._holder = weakref.ref(cache)

    def _grow(self, needed: int) -> None:
        capacity = min(-(-needed // _CAPACITY_STEP) * _CAPACITY_STEP, max(needed, self._max_positions))
        # Zeros: a masked position weighs nothing, but nothing times what memory held before may be no number.
        grown = self.stored.new_zeros(*self.stored.shape[:3], capacity, self.stored.shape[4])
        grown[..., : self.capacity, :] = self.stored
        self.stored = grown


class StaticKVCache:
    """The KV cache of one text, whose layers may be filled to different positions. Batch 1.

    Attributes:
        parked: Its positions while another text has the buffers, [L, 2, H_kv, filled, D_head]; None where it has them
            itself, or has none.
    """

    def __init__(self, buffers: KVBuffers) -> None:
        self._buffers = buffers
        self._lengths = [0] * len(buffers.stored)
        self.parked: torch.Tensor | None = None

    @property
    def lengths(self) -> Sequence[int]:
        """Positions filled in each layer."""
        return self._lengths

    @property
    def nbytes(self) -> int:
        """Memory of its positions: the shared buffers themselves are there for whoever comes next."""
        if self._buffers.held_by(self):
            return self._buffers.stored[..., : max(self._lengths), :].nbytes
        return 0 if self.parked is None else self.parked.nbytes

    def crop(self, length: int) -> None:
        """Forgets every position from `length` on, in every layer."""
        self._lengths = [min(filled, length) for filled in self._lengths]

    def advance(self, start: int, stop: int, n_rows: int) -> None:
        """Counts positions that were written behind those of layers start to stop - 1."""
        self._lengths[start:stop] = [filled + n_rows for filled in self._lengths[start:stop]]

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Appends [1, H_kv, T, D_head] keys and values to one layer and returns all of that layer's that are filled."""
        start = self._lengths[layer_idx]
        stop = start + keys.shape[2]
        self._buffers.admit(self, stop)
        all_keys, all_values = self._buffers.layer(layer_idx)
        all_keys[:, :, start:stop] = keys
        all_values[:, :, start:stop] = values
        self._lengths[layer_idx] = stop
        return all_keys[:, :, :stop], all_values[:, :, :stop]


class WritesAt:
    """What a layer takes for its cache in a recording: writes where a tensor says, and returns whole buffers."""

    def __init__(self, buffers: KVBuffers, positions: torch.Tensor) -> None:
        """Writes at `positions` [T] of the buffers, whatever they are when it runs."""
        self._buffers, self._positions = buffers, positions

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Writes [1, H_kv, T, D_head] keys and values of one layer; returns [1, H_kv, capacity, D_head] of each."""
        all_keys, all_values = self._buffers.layer(layer_idx)
        return all_keys.index_copy_(2, self._positions, keys), all_values.index_copy_(2, self._positions, values)
