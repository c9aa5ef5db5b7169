"""The seam between a model with exits and whatever computes its layers.

A runner embeds, runs a range of layers over a KV cache of its own kind, norms, and evaluates the LM head. It knows no
exits but the borders that it is asked to stop at, no policy and no text. Hidden states cross the seam as torch tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from engine.types import ModelGeometry


class KVCache(Protocol):
    """Keys and values of every layer, each layer with a length of its own."""

    @property
    def lengths(self) -> Sequence[int]:
        """Positions filled in each layer."""
        ...

    @property
    def nbytes(self) -> int:
        """Memory that it holds, filled or not."""
        ...

    def crop(self, length: int) -> None:
        """Forgets every position from `length` on, in every layer."""
        ...


class LayerRunner(Protocol):
    """Batch 1, one device, no gradients."""

    @property
    def n_layers(self) -> int:
        """Full depth."""
        ...

    @property
    def n_vocabulary(self) -> int:
        """Tokens that the head knows."""
        ...

    @property
    def device(self) -> torch.device:
        """Where hidden states lie."""
        ...

    @property
    def max_positions(self) -> int:
        """Longest text in tokens."""
        ...

    @property
    def geometry(self) -> ModelGeometry:
        """The sizes that cost depends on, with the bytes of a weight as this runner reads it."""
        ...

    @property
    def shortlist(self) -> torch.Tensor | None:
        """Ids [S] of the tokens that `shortlist_head` knows, ascending; None where it is not to be asked."""
        ...

    def new_cache(self) -> KVCache:
        """An empty cache of this runner's kind."""
        ...

    def embed(self, token_ids: Sequence[int], position: int) -> torch.Tensor:
        """Token ids that stand from `position` on, to hidden states [1, T, D]."""
        ...

    def run_layers(self, hidden: torch.Tensor, start: int, stop: int, cache: KVCache) -> torch.Tensor:
        """Runs layers start to stop - 1 for hidden states [1, T, D] that follow what is in the cache."""
        ...

    def propagate(self, hidden: torch.Tensor, start: int, cache: KVCache) -> None:
        """Fills layers from `start` on with keys and values computed from an exit's hidden states [1, T, D]."""
        ...

    def final_norm(self, hidden: torch.Tensor) -> torch.Tensor:
        """The norm before the LM head, [1, T, D] to [1, T, D]."""
        ...

    def head(self, normed: torch.Tensor) -> torch.Tensor:
        """Normed hidden states [1, T, D] to logits [1, T, V]."""
        ...

    def shortlist_head(self, normed: torch.Tensor) -> torch.Tensor:
        """Normed hidden states [1, T, D] to the logits of the shortlist's tokens, [1, T, S]."""
        ...
