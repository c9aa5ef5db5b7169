"""What the fast CPU runners share: the tables of a prepared model, and all that is no product with its weights.

No product of matrices is left to numpy, whose BLAS has a pool of threads of its own; and a process that runs this
imports no torch.
"""

from __future__ import annotations

import itertools
import mmap
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np

from engine.model.prepared.layout import (
    EMBEDDING_FILE,
    HEAD_ROWS_FILE,
    NORM_BIAS_FILE,
    NORM_FILE,
    ROTARY_FILE,
    SHORTLIST_IDS_FILE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from engine.model.prepared.layout import Layout

CAPACITY_STEP = 128
"""Positions by which a KV cache grows."""

ONE_CORE_BYTES = 256 << 20
"""Read for a token on one core; more takes it too long for somebody who waits, over 20 ms."""


class _RowsOnDisk:
    """A table of which only the rows that are asked for are read, and none stays in this process' memory.

    The system maps their neighbours along with them, which for the default model soon were all 57 MB.
    """

    def __init__(self, path: Path) -> None:
        table = np.load(path, mmap_mode="r")
        self._table: NDArray[np.float16] = np.asarray(table)  # without the ways of numpy's memmap, which rows inherit
        self._mapping: mmap.mmap = table._mmap  # noqa: SLF001 - numpy offers no other way

    def rows(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """Copies rows, [T, D]."""
        rows = self._table[list(indices)].astype(np.float32)
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            self._mapping.madvise(mmap.MADV_DONTNEED)
        return rows


class SegmentCache(Protocol):
    """Keys and values of one segment's layers, all filled to the same position."""

    layers: range
    filled: int

    @property
    def nbytes(self) -> int:
        """Memory that it holds, filled or not."""
        ...


S = TypeVar("S", bound=SegmentCache)


class SegmentedCache(Generic[S]):
    """A KV cache whose segments may be filled to different positions."""

    def __init__(self, layout: Layout, new_segment: Callable[[range, int, int], S]) -> None:
        """An empty cache.

        Args:
            layout: The sizes of the model, and where its segments begin.
            new_segment: Makes the cache of one segment from its layers, its number of key/value heads, and their width.
        """
        self.segments = [
            new_segment(range(start, stop), layout.n_kv_heads, layout.head_dim)
            for start, stop in itertools.pairwise(layout.bounds)
        ]

    @property
    def lengths(self) -> Sequence[int]:
        """Positions filled in each layer."""
        return [segment.filled for segment in self.segments for _ in segment.layers]

    @property
    def nbytes(self) -> int:
        """Memory that it holds, filled or not."""
        return sum(segment.nbytes for segment in self.segments)

    def crop(self, length: int) -> None:
        """Forgets every position from `length` on, in every layer."""
        for segment in self.segments:
            segment.filled = min(segment.filled, length)


def rms_normed(hidden: NDArray[np.float32], epsilon: float) -> NDArray[np.float32]:
    """Rows [1, T, D] with a root mean square of one."""
    mean_square = np.square(hidden).mean(-1, keepdims=True)
    normed: NDArray[np.float32] = hidden / np.sqrt(mean_square + np.float32(epsilon))
    return normed


class PreparedRunner:
    """Embedding and final norm of a `LayerRunner`; the layers and the head are left to those that inherit."""

    def __init__(self, folder: Path, layout: Layout, *, threads: int) -> None:
        """Opens the tables.

        Args:
            folder: What `engine.model.prepared.writing` wrote.
            layout: What it holds.
            threads: The most threads that the runner takes.
        """
        self._layout, self._max_threads = layout, threads
        self.n_layers, self.max_positions = layout.geometry.n_layers, layout.max_positions
        self.geometry = layout.geometry
        self.n_vocabulary = layout.n_vocabulary
        listed = folder / SHORTLIST_IDS_FILE
        self.shortlist: NDArray[np.int64] | None = np.load(listed) if listed.is_file() else None
        self._by_start = {start: index for index, start in enumerate(layout.bounds[:-1])}
        self._embedding = _RowsOnDisk(folder / EMBEDDING_FILE)
        untied = folder / HEAD_ROWS_FILE
        self._head_rows = _RowsOnDisk(untied) if untied.is_file() else self._embedding
        self._norm: NDArray[np.float32] = np.load(folder / NORM_FILE)
        norm_bias = folder / NORM_BIAS_FILE
        self._norm_bias: NDArray[np.float32] | None = np.load(norm_bias) if norm_bias.is_file() else None
        # Tables of cos and sin, [tables, 2, positions, D_head / 2]; what no text has reached stays on disk.
        self._rotary: NDArray[np.float32] = np.asarray(np.load(folder / ROTARY_FILE, mmap_mode="r"))

    def embed(self, token_ids: Sequence[int], position: int) -> NDArray[np.float32]:
        """See `LayerRunner.embed`; positions enter in the layers."""
        rows: NDArray[np.float32] = self._embedding.rows(token_ids)[None] * np.float32(self._layout.embedding_scale)
        return rows

    def concatenate(self, before: NDArray[np.float32], behind: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `LayerRunner.concatenate`."""
        return np.concatenate((before, behind), axis=1)

    def final_norm(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `LayerRunner.final_norm`."""
        normed = rms_normed(hidden, self._layout.norm_epsilon) * self._norm
        return normed if self._norm_bias is None else normed + self._norm_bias

    def head_rows(self, token_ids: Sequence[int]) -> NDArray[np.float32]:
        """See `LayerRunner.head_rows`; [N, D]."""
        return self._head_rows.rows(token_ids)

    def to_numpy(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `LayerRunner.to_numpy`."""
        return array

    def let_go(self) -> None:
        """See `MappedRunner.let_go`."""

    def _beside_shortlist(
        self, listed: NDArray[np.float32], normed: NDArray[np.float32], further: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Logits of the shortlist, and behind them those of `further` rows of the head."""
        # Without `optimize`, which would hand it to BLAS and its pool of threads.
        return np.concatenate((listed, np.einsum("btk,nk->btn", normed, further)), axis=-1)

    def _threads_for(self, *, all_cores: bool) -> int:
        geometry = self.geometry
        n_params = geometry.n_layers * geometry.layer_params + geometry.head_params
        is_large = n_params * geometry.bytes_per_param > ONE_CORE_BYTES
        return self._max_threads if all_cores or is_large else 1
