"""The CPU runner for every machine: a session of ONNX Runtime for each segment, over a KV cache written in place.

A session runs on one core, unless all are asked for: a second one buys a fifth of a token's time for half as much work
again, and nothing where something else is busy (engine/LOG.md, "Two threads, their CPU time, and a busy neighbour"). A
prompt keeps all cores at work even so, since other threads may run other segments. With all cores, each session has its
pool of threads, which must not spin when it is done: on two cores a token took five times as long while the pool that
had just worked kept the next one waiting.
"""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from engine.model.mapped_files import MappedFiles
from engine.model.prepared import prepared_runner as shared
from engine.model.prepared.layout import (
    COS,
    HEAD_FILE,
    HIDDEN,
    KEY_NORMS_FILE,
    LAST_POSITION,
    OUTPUT,
    PROPAGATION_FILE,
    SHORTLIST_FILE,
    SIN,
    TOTAL,
    exit_map_file,
    past_names,
    present_names,
    segment_file,
)
from engine.model.prepared.prepared_runner import PreparedRunner, SegmentedCache

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from engine.model.layer_runner import KVCache
    from engine.model.prepared.layout import Layout

_ERRORS_ONLY = 3
_SPIN_US = "30"  # while a session runs; versions before 1.31 spin until its end


class _SegmentCache:
    """Keys and values of one segment's layers, and what its session reads and writes besides."""

    def __init__(self, layers: range, n_kv_heads: int, head_dim: int) -> None:
        self.layers = layers
        self.filled = 0  # positions
        self.arrays: list[NDArray[np.float32]] = []  # keys and values by turns, each [1, H_kv, capacity, D_head]
        self.binding: onnxruntime.IOBinding | None = None  # of the session and the arrays of now
        self.last_position = np.zeros(1, np.int32)  # bound once, written before each run
        self.total = np.zeros((), np.int32)
        self._shape = (1, n_kv_heads, 0, head_dim)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays)

    def extend(self, n_rows: int) -> slice:
        """Makes room for `n_rows` more positions, and for the row of zeros behind them, and gives their place."""
        place = slice(self.filled, self.filled + n_rows)
        if not self.arrays or place.stop >= self.arrays[0].shape[2]:
            self._grow(place.stop + 1)
        self.filled = place.stop
        return place

    def _grow(self, needed: int) -> None:
        batch, heads, _, head_dim = self._shape
        capacity = -(-needed // shared.CAPACITY_STEP) * shared.CAPACITY_STEP
        grown = [np.zeros((batch, heads, capacity, head_dim), np.float32) for _ in range(2 * len(self.layers))]
        for new, old in zip(grown, self.arrays, strict=False):
            new[:, :, : self.filled] = old[:, :, : self.filled]
        self.arrays, self.binding = grown, None


class OnnxCache(SegmentedCache[_SegmentCache]):
    """Buffers that sessions write in place."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout, _SegmentCache)


class OnnxRunner(PreparedRunner):
    """See `LayerRunner`; it stops only between the segments that were prepared."""

    def __init__(self, folder: Path, layout: Layout, *, threads: int) -> None:
        """Opens what `engine.model.prepared.writing` wrote.

        Args:
            folder: The folder with the graphs and tables.
            layout: What they hold.
            threads: The most threads that it takes.
        """
        self._opened = MappedFiles(folder.iterdir())
        super().__init__(folder, layout, threads=threads)
        self.geometry = layout.geometry.with_cache(
            key_width=layout.n_kv_heads * layout.head_dim,
            query_width=len(self._norm),  # of the families that run here, queries are as wide as the hidden state
            bytes_per_value=np.float32().itemsize,
        )
        self._folder = folder
        self._files = [*(segment_file(start) for start in layout.bounds[:-1]), HEAD_FILE]
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}  # by file
        self._caches: weakref.WeakSet[OnnxCache] = weakref.WeakSet()
        if self.shortlist is not None:
            self._files.append(SHORTLIST_FILE)
        key_norms = folder / KEY_NORMS_FILE  # [L, D_head]
        self._key_norms: NDArray[np.float32] | None = np.load(key_norms) if key_norms.is_file() else None
        trained = [layer for layer in layout.bounds[1:-1] if (folder / exit_map_file(layer)).is_file()]
        self._exit_maps = {layer: _open(folder / exit_map_file(layer), threads=1) for layer in trained}
        self._open_sessions(self._threads_for(all_cores=False))

    @property
    def callers(self) -> int:
        """See `LayerRunner.callers`."""
        return self._max_threads if self._threads == 1 else 1

    def use_cores(self, *, all_cores: bool) -> None:
        """See `LayerRunner.use_cores`; a change opens the sessions anew, which takes half a second."""
        if (threads := self._threads_for(all_cores=all_cores)) != self._threads:
            self._opened.refuse_others()
            self._open_sessions(threads)

    def new_cache(self) -> OnnxCache:
        """See `LayerRunner.new_cache`."""
        cache = OnnxCache(self._layout)
        self._caches.add(cache)
        return cache

    def run_layers(self, hidden: NDArray[np.float32], start: int, stop: int, cache: KVCache) -> NDArray[np.float32]:
        """See `LayerRunner.run_layers`; `start` and `stop` must be borders of segments."""
        assert isinstance(cache, OnnxCache)
        while start < stop:
            index = self._by_start[start]
            hidden = self._run(index, np.ascontiguousarray(hidden), cache.segments[index])
            start = self._layout.bounds[index + 1]
        assert start == stop
        return hidden

    def propagate(self, hidden: NDArray[np.float32], start: int, cache: KVCache) -> None:
        """See `LayerRunner.propagate`."""
        assert isinstance(cache, OnnxCache)
        n_rows, layout = hidden.shape[1], self._layout
        projected = _product(self._propagation, hidden)
        # [1, T, L * 2 * H_kv * D_head] -> [L, 2, H_kv, T, D_head]
        by_layer = projected.reshape(n_rows, self.n_layers, 2, layout.n_kv_heads, layout.head_dim).transpose(
            1, 2, 3, 0, 4
        )
        for segment in cache.segments[self._by_start[start] :]:
            place = segment.extend(n_rows)
            cos, sin = self._rotary[0, :, place]
            for offset, layer in enumerate(segment.layers):
                keys, values = by_layer[layer]
                if self._key_norms is not None:
                    keys = shared.rms_normed(keys, layout.norm_epsilon) * self._key_norms[layer]
                first, second = np.split(keys, 2, axis=-1)
                segment.arrays[2 * offset][0, :, place] = np.concatenate(
                    (first * cos - second * sin, second * cos + first * sin), axis=-1
                )
                segment.arrays[2 * offset + 1][0, :, place] = values

    def map_exit(self, normed: NDArray[np.float32], exit_layer: int) -> NDArray[np.float32]:
        """See `LayerRunner.map_exit`."""
        session = self._exit_maps.get(exit_layer)
        return normed if session is None else _product(session, normed)

    def head(self, normed: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `LayerRunner.head`."""
        return _product(self._sessions[HEAD_FILE], normed)

    def shortlist_head(self, normed: NDArray[np.float32], further: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `LayerRunner.shortlist_head`."""
        return self._beside_shortlist(_product(self._sessions[SHORTLIST_FILE], normed), normed, further)

    @functools.cached_property
    def _propagation(self) -> onnxruntime.InferenceSession:
        self._opened.refuse_others()
        return _open(self._folder / PROPAGATION_FILE, self._threads)  # few decodings ask for it

    def _open_sessions(self, threads: int) -> None:
        self._threads = threads
        for cache in self._caches:
            for segment in cache.segments:
                segment.binding = None  # it would hold its session
        self._sessions.clear()  # first: two copies of the weights need not meet in memory
        for file in self._files:
            self._sessions[file] = _open(self._folder / file, threads)

    def _run(self, index: int, hidden: NDArray[np.float32], cache: _SegmentCache) -> NDArray[np.float32]:
        place = cache.extend(hidden.shape[1])
        # These are of the row of zeros: the next row overwrites its keys and values; see `_Graph.attention`.
        cache.last_position[0], cache.total[()] = place.stop, place.stop + 1
        session = self._sessions[self._files[index]]
        binding = cache.binding or self._bind(session, cache)
        output = np.empty_like(hidden)
        binding.bind_input(HIDDEN, "cpu", 0, np.float32, hidden.shape, hidden.ctypes.data)
        binding.bind_output(OUTPUT, "cpu", 0, np.float32, output.shape, output.ctypes.data)
        session.run_with_iobinding(binding)
        return output

    def _bind(self, session: onnxruntime.InferenceSession, cache: _SegmentCache) -> onnxruntime.IOBinding:
        binding = session.io_binding()
        cos, sin = self._rotary[0]
        tables = {LAST_POSITION: cache.last_position, TOTAL: cache.total, COS: cos, SIN: sin}
        for name, array in tables.items():
            binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for offset, layer in enumerate(cache.layers):
            arrays = cache.arrays[2 * offset : 2 * offset + 2]
            for past, present, array in zip(past_names(layer), present_names(layer), arrays, strict=True):
                binding.bind_input(past, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
                binding.bind_output(present, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        cache.binding = binding
        return binding


def _product(session: onnxruntime.InferenceSession, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a graph without a cache makes of rows: [1, T, K] to [1, T, N]."""
    product: NDArray[np.float32] = session.run([OUTPUT], {HIDDEN: rows})[0]
    return product


def _open(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.spin_duration_us", _SPIN_US)
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # Each session would keep the room of its largest prompt: 230 MB in all, for no gain in speed.
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.log_severity_level = _ERRORS_ONLY
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
