"""Keys and values of every layer, each layer with a length of its own.

Tokens that left the model early have no keys and values in the deeper layers yet, so layers differ in length.
`update` has the signature that transformers' attention modules call, hence they run on this cache unchanged.
Memory is allocated once and grown by doubling: appending a token copies nothing. It knows no tokens and no policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIRST_CAPACITY = 1024  # positions; 47 MB for the default model in fp32


class LayeredKVCache:
    """A KV cache whose layers may be filled to different positions. Batch 1."""

    def __init__(self, n_layers: int) -> None:
        self._keys: list[torch.Tensor | None] = [None] * n_layers  # each [1, H_kv, capacity, D_head]
        self._values: list[torch.Tensor | None] = [None] * n_layers
        self._lengths = [0] * n_layers

    @property
    def lengths(self) -> Sequence[int]:
        """Positions filled in each layer."""
        return self._lengths

    @property
    def nbytes(self) -> int:
        """Memory that it holds, filled or not."""
        return sum(store.nbytes for store in (*self._keys, *self._values) if store is not None)

    def layer(self, layer_idx: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of one layer, each [1, H_kv, length, D_head].

        Raises:
            LookupError: If nothing was stored in that layer yet.
        """
        keys, values, length = self._keys[layer_idx], self._values[layer_idx], self._lengths[layer_idx]
        if keys is None or values is None:
            message = f"layer {layer_idx} is empty"
            raise LookupError(message)
        return keys[:, :, :length], values[:, :, :length]

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Appends [1, H_kv, T, D_head] keys and values to one layer and returns all of that layer's."""
        start = self._lengths[layer_idx]
        stop = start + keys.shape[2]
        all_keys = _with_room(self._keys[layer_idx], keys, filled=start, needed=stop)
        all_values = _with_room(self._values[layer_idx], values, filled=start, needed=stop)
        all_keys[:, :, start:stop] = keys
        all_values[:, :, start:stop] = values
        self._keys[layer_idx], self._values[layer_idx] = all_keys, all_values
        self._lengths[layer_idx] = stop
        return all_keys[:, :, :stop], all_values[:, :, :stop]

    def crop(self, length: int) -> None:
        """Forgets every position from `length` on, in every layer."""
        self._lengths = [min(filled, length) for filled in self._lengths]


def _with_room(store: torch.Tensor | None, like: torch.Tensor, *, filled: int, needed: int) -> torch.Tensor:
    if store is not None and needed <= store.shape[2]:
        return store
    batch, heads, _, head_dim = like.shape
    capacity = max(_FIRST_CAPACITY, 1 << (needed - 1).bit_length())
    grown = torch.empty(batch, heads, capacity, head_dim, dtype=like.dtype, device=like.device)
    if store is not None:
        grown[:, :, :filled] = store[:, :, :filled]
    return grown
