"""The seam between a model with exits and whatever computes its layers.

A runner embeds, runs a range of layers over a KV cache of its own kind, norms, and evaluates the LM head. Of exits it
knows the borders that it is asked to stop at, and the maps that the head reads them through; it knows no policy and no
text. Hidden states cross the seam as arrays of the runner's own library, so that nobody else needs to import one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from engine.types import ModelGeometry

Array = Any
"""Hidden states [1, T, D] or logits [1, T, V] of a runner: numpy's or torch's.

Others ask for its `shape`, cut it by slices, take its `argmax(-1).tolist()`, and hand it back to the same runner.
"""


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
    def max_positions(self) -> int:
        """Longest text in tokens."""
        ...

    @property
    def geometry(self) -> ModelGeometry:
        """The sizes that cost depends on, with the bytes of a weight as this runner reads it."""
        ...

    @property
    def shortlist(self) -> NDArray[np.int64] | None:
        """Ids [S] of the tokens that `shortlist_head` knows, ascending; None where it is not to be asked."""
        ...

    @property
    def callers(self) -> int:
        """How many threads may run layers at once, each those of another segment."""
        ...

    def use_cores(self, *, all_cores: bool) -> None:
        """Chooses the threads: all cores (fastest) or one (least energy). Not to be called while it runs."""
        ...

    def new_cache(self) -> KVCache:
        """An empty cache of this runner's kind."""
        ...

    def embed(self, token_ids: Sequence[int], position: int) -> Array:
        """Token ids that stand from `position` on, to hidden states [1, T, D]."""
        ...

    def run_layers(self, hidden: Array, start: int, stop: int, cache: KVCache) -> Array:
        """Runs layers for hidden states [1, T, D], and gives those behind the last of them.

        Args:
            hidden: The states of positions that follow those in the cache.
            start: The first layer.
            stop: The layer behind the last.
            cache: Gets the keys and values of these positions.
        """
        ...

    def propagate(self, hidden: Array, start: int, cache: KVCache) -> None:
        """Fills layers from `start` on with keys and values computed from an exit's hidden states [1, T, D]."""
        ...

    def concatenate(self, before: Array, behind: Array) -> Array:
        """Hidden states [1, T, D] with more of them behind."""
        ...

    def final_norm(self, hidden: Array) -> Array:
        """The norm before the LM head, [1, T, D] to [1, T, D]."""
        ...

    def map_exit(self, normed: Array, exit_layer: int) -> Array:
        """What the head reads in the place of an exit's normed states [1, T, D]: these, where nothing was trained."""
        ...

    def head(self, normed: Array) -> Array:
        """Normed hidden states [1, T, D] to logits [1, T, V]."""
        ...

    def head_rows(self, token_ids: Sequence[int]) -> Array:
        """What the head knows of N tokens, for `shortlist_head`."""
        ...

    def shortlist_head(self, normed: Array, further: Array) -> Array:
        """Normed hidden states [1, T, D] to the logits of the shortlist's tokens and N further ones, [1, T, S + N]."""
        ...

    def to_numpy(self, array: Array) -> NDArray[np.float32]:
        """Any part of an array, in fp32 in this machine's memory; waits for the device."""
        ...


class MappedRunner(LayerRunner, Protocol):
    """A runner of weights that lie in files."""

    def let_go(self) -> None:
        """Gives back the memory of weights that are mapped; they are read again where they are needed."""
        ...
