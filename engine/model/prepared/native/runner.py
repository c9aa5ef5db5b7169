"""The native CPU runner: segments of layers in kernels of our own, over a KV cache of half floats.

For x86-64 CPUs with AVX2, AVX-VNNI, AVX-512 VNNI or AMX; on others `OnnxRunner` runs nearly the same numbers (scales,
keys and values are half floats here, and an exit's map is in 8 bits, not fp32). A call runs on the caller's thread, so
several threads may run other segments at once, as prefill does. A row for which somebody waits, with all cores asked
for, is computed by a team of threads that meet after every product.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import mmap
import weakref
from typing import TYPE_CHECKING, Any

import cattrs
import numpy as np

from engine.errors import ModelError
from engine.model.prepared import prepared_runner as shared
from engine.model.prepared.native import library
from engine.model.prepared.native.packing import LANES, PACK_FILE, PANEL, WEIGHTS_FILE, Pack
from engine.model.prepared.prepared_runner import PreparedRunner, SegmentedCache

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from engine.model.layer_runner import KVCache
    from engine.model.prepared.layout import Layout
    from engine.model.prepared.native.packing import PackedLayer, PackedWeight

_MOST_TEAM_ROWS = 16  # more come from a prompt, whose chunks share the cores among them


class Weight(ctypes.Structure):
    """`Weight` of products.h."""

    _fields_ = (
        ("panels", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("panel_bytes", ctypes.c_int64),
        ("n_outputs", ctypes.c_int32),
        ("n_inputs", ctypes.c_int32),
        ("bits", ctypes.c_int32),
        ("unit", ctypes.c_float),
    )

    def behind(self, output: int) -> Weight:
        """What gives the outputs from `output` on, which begins a panel."""
        panel, offset = divmod(output, PANEL)
        assert not offset
        bias = None if self.bias is None else self.bias + output * ctypes.sizeof(ctypes.c_float)
        part = Weight.from_buffer_copy(self)
        part.panels, part.bias, part.n_outputs = self.panels + panel * self.panel_bytes, bias, self.n_outputs - output
        return part


class _Heads(ctypes.Structure):
    """`Heads` of attention.h."""

    _fields_ = (
        ("query_norm", ctypes.c_void_p),
        ("key_norm", ctypes.c_void_p),
        ("cos", ctypes.c_void_p),
        ("sin", ctypes.c_void_p),
        ("window", ctypes.c_int64),
    )


class _Layer(ctypes.Structure):
    """`Layer` of layers.cpp."""

    _fields_ = (
        ("attention_norm", ctypes.c_void_p),
        ("mlp_norm", ctypes.c_void_p),
        ("attention_out_norm", ctypes.c_void_p),
        ("mlp_out_norm", ctypes.c_void_p),
        ("heads", _Heads),
        ("qkv", Weight),
        ("output", Weight),
        ("gate_up", Weight),
        ("down", Weight),
    )


class _Shape(ctypes.Structure):
    """`Shape` of attention.h."""

    _fields_ = (
        ("width", ctypes.c_int32),
        ("n_heads", ctypes.c_int32),
        ("n_kv_heads", ctypes.c_int32),
        ("head_dim", ctypes.c_int32),
        ("mlp_width", ctypes.c_int32),
        ("gelu", ctypes.c_int32),
        ("gated", ctypes.c_int32),
        ("epsilon", ctypes.c_float),
        ("attention_scale", ctypes.c_float),
    )


class _LayerCache(ctypes.Structure):
    """`LayerCache` of attention.h."""

    _fields_ = (("keys", ctypes.c_void_p), ("values", ctypes.c_void_p))


class _SegmentCache:
    """Keys and values of one segment's layers; attention.h says how they lie."""

    def __init__(self, layers: range, n_kv_heads: int, head_dim: int) -> None:
        self.layers = layers
        self.filled = self.capacity = 0  # positions
        self.places = (_LayerCache * len(layers))()
        self._heads, self._head_dim = n_kv_heads, head_dim
        self._arrays: list[NDArray[np.float16]] = []  # keys and values by turns

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self._arrays)

    def extend(self, n_rows: int) -> int:
        """Makes room for `n_rows` more positions, and gives the first."""
        first = self.filled
        if first + n_rows > self.capacity:
            self._grow(first + n_rows)
        self.filled += n_rows
        return first

    def _grow(self, needed: int) -> None:
        step = shared.CAPACITY_STEP
        assert step % LANES == 0
        self.capacity = -(-needed // step) * step
        keys = (self._heads, self.capacity // LANES, self._head_dim, LANES)
        values = (self._heads, self.capacity, self._head_dim)
        grown = [np.zeros(shape, np.float16) for _ in self.layers for shape in (keys, values)]
        for new, old in zip(grown, self._arrays, strict=False):
            new[:, : old.shape[1]] = old
        self._arrays = grown
        for place, new_keys, new_values in zip(self.places, grown[0::2], grown[1::2], strict=True):
            place.keys, place.values = new_keys.ctypes.data, new_values.ctypes.data


class NativeCache(SegmentedCache[_SegmentCache]):
    """Buffers of half floats that the kernels write."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout, _SegmentCache)


class NativeRunner(PreparedRunner):
    """See `LayerRunner`; it stops only between the segments that were prepared."""

    def __init__(self, folder: Path, layout: Layout, *, threads: int) -> None:
        """Maps what `engine.model.prepared.writing` wrote.

        Args:
            folder: The folder with the weights and tables.
            layout: What they hold.
            threads: The most threads that it takes.
        """
        super().__init__(folder, layout, threads=threads)
        if (kernels := library.load()) is None:  # it was there when the model was prepared
            raise ModelError(f"{library.why_not()} Start Green Code again.")
        self._kernels = kernels
        pack = cattrs.structure(json.loads((folder / PACK_FILE).read_bytes()), Pack)
        self.geometry = layout.geometry.with_cache(
            key_width=layout.n_kv_heads * layout.head_dim,
            query_width=pack.n_heads * layout.head_dim,
            bytes_per_value=np.float16().itemsize,
        )
        self._mapped = np.memmap(folder / WEIGHTS_FILE, np.uint8, mode="r")
        self._shape = _Shape(
            width=len(self._norm),
            n_heads=pack.n_heads,
            n_kv_heads=layout.n_kv_heads,
            head_dim=layout.head_dim,
            mlp_width=pack.mlp_width,
            gelu=pack.gelu,
            gated=pack.gated,
            epsilon=pack.epsilon,
            attention_scale=pack.attention_scale,
        )
        self._segments = [
            (_Layer * (stop - start))(*(self._layer(layer) for layer in pack.layers[start:stop]))
            for start, stop in itertools.pairwise(layout.bounds)
        ]
        self._epsilon = pack.epsilon
        self._head = self._weight(pack.head)
        self._shortlist = None if pack.shortlist is None else self._weight(pack.shortlist)
        self._propagation = self._weight(pack.propagation)
        self._exit_maps = {layer: self._weight(weight) for layer, weight in pack.exit_maps.items()}
        self._team = self._alone = Team(kernels, 1)
        self.use_cores(all_cores=False)

    def let_go(self) -> None:
        """See `MappedRunner.let_go`."""
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            mapping: mmap.mmap = self._mapped._mmap  # type: ignore[attr-defined]  # noqa: SLF001 - numpy offers no other way
            mapping.madvise(mmap.MADV_DONTNEED)

    @property
    def callers(self) -> int:
        """See `LayerRunner.callers`."""
        return self._max_threads

    def use_cores(self, *, all_cores: bool) -> None:
        """See `LayerRunner.use_cores`."""
        if self._threads_for(all_cores=all_cores) == 1:
            self._team = self._alone
        elif self._team is self._alone:
            self._team = Team(self._kernels, self._max_threads)

    def new_cache(self) -> NativeCache:
        """See `LayerRunner.new_cache`."""
        return NativeCache(self._layout)

    def run_layers(self, hidden: NDArray[np.float32], start: int, stop: int, cache: KVCache) -> NDArray[np.float32]:
        """See `LayerRunner.run_layers`; `start` and `stop` must be borders of segments."""
        assert isinstance(cache, NativeCache)
        hidden = np.array(hidden, np.float32, order="C")  # a copy, which the kernels write
        n_rows = hidden.shape[1]
        team = self._team_for(n_rows)
        while start < stop:
            index = self._by_start[start]
            layers, segment = self._segments[index], cache.segments[index]
            position = segment.extend(n_rows)
            assert segment.filled <= self._rotary.shape[2]
            self._kernels.green_code_layers(
                team.handle,
                ctypes.byref(self._shape),
                layers,
                len(layers),
                segment.places,
                segment.capacity,
                position,
                ctypes.c_void_p(hidden.ctypes.data),
                n_rows,
            )
            start = self._layout.bounds[index + 1]
        assert start == stop
        return hidden

    def propagate(self, hidden: NDArray[np.float32], start: int, cache: KVCache) -> None:
        """See `LayerRunner.propagate`."""
        assert isinstance(cache, NativeCache)
        width = 2 * self._layout.n_kv_heads * self._layout.head_dim
        rows = self._product(self._propagation.behind(start * width), shared.rms_normed(hidden, self._epsilon))
        first = self._by_start[start]
        for layers, segment in zip(self._segments[first:], cache.segments[first:], strict=True):
            position = segment.extend(hidden.shape[1])
            for layer, place, idx in zip(layers, segment.places, segment.layers, strict=True):
                self._kernels.green_code_store(
                    ctypes.byref(self._shape),
                    ctypes.byref(layer.heads),
                    ctypes.byref(place),
                    segment.capacity,
                    position,
                    ctypes.c_void_p(rows[:, :, (idx - start) * width :].ctypes.data),
                    rows.shape[2],
                    rows.shape[1],
                )

    def map_exit(self, normed: NDArray[np.float32], exit_layer: int) -> NDArray[np.float32]:
        """See `LayerRunner.map_exit`."""
        weight = self._exit_maps.get(exit_layer)
        return normed if weight is None else self._product(weight, normed)

    def head(self, normed: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `LayerRunner.head`."""
        return self._product(self._head, normed)[:, :, : self.n_vocabulary]

    def shortlist_head(self, normed: NDArray[np.float32], further: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `LayerRunner.shortlist_head`."""
        assert self._shortlist is not None
        assert self.shortlist is not None
        listed = self._product(self._shortlist, normed)[:, :, : len(self.shortlist)]
        return self._beside_shortlist(listed, normed, further)

    def _product(self, weight: Weight, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows [1, T, K] times a weight: [1, T, N]."""
        rows = np.ascontiguousarray(rows, np.float32)
        out = np.empty((1, rows.shape[1], weight.n_outputs), np.float32)
        self._kernels.green_code_product(
            self._team_for(rows.shape[1]).handle,
            ctypes.byref(weight),
            ctypes.c_void_p(rows.ctypes.data),
            rows.shape[1],
            ctypes.c_void_p(out.ctypes.data),
        )
        return out

    def _layer(self, packed: PackedLayer) -> _Layer:
        cos, sin = self._rotary[packed.rotary]
        return _Layer(
            attention_norm=self._at(packed.attention_norm),
            mlp_norm=self._at(packed.mlp_norm),
            attention_out_norm=self._at(packed.attention_out_norm),
            mlp_out_norm=self._at(packed.mlp_out_norm),
            heads=_Heads(
                query_norm=self._at(packed.query_norm),
                key_norm=self._at(packed.key_norm),
                cos=cos.ctypes.data,
                sin=sin.ctypes.data,
                window=packed.window,
            ),
            qkv=self._weight(packed.qkv),
            output=self._weight(packed.output),
            gate_up=self._weight(packed.gate_up),
            down=self._weight(packed.down),
        )

    def _weight(self, packed: PackedWeight) -> Weight:
        return Weight(
            panels=self._at(packed.offset),
            bias=self._at(packed.bias),
            panel_bytes=packed.panel_bytes,
            n_outputs=packed.n_outputs,
            n_inputs=packed.n_inputs,
            bits=packed.bits,
            unit=packed.unit,
        )

    def _at(self, offset: int | None) -> int | None:
        return None if offset is None else self._mapped.ctypes.data + offset

    def _team_for(self, n_rows: int) -> Team:
        return self._team if n_rows <= _MOST_TEAM_ROWS else self._alone


class Team:
    """A team of the kernels' threads, which end when it is collected."""

    def __init__(self, kernels: Any, size: int) -> None:
        kernels.green_code_team.restype = ctypes.c_void_p
        self.handle = ctypes.c_void_p(kernels.green_code_team(size))
        # Not at exit, where the system ends them; in a forked process there are none to wait for.
        weakref.finalize(self, kernels.green_code_disband, self.handle).atexit = False
