"""How fast this machine reads weights: the kernels' own product where there are some, else a plain sum.

A token at batch 1 costs what its weights take to be read, so this one figure predicts any model's time. Knows no model.
"""

from __future__ import annotations

import ctypes
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.model.prepared.native import library
from engine.model.prepared.native.packing import GROUP
from engine.model.prepared.native.runner import Team, Weight

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_N_OUTPUTS, _N_INPUTS = 32_768, 4096  # 138 MB: more than caches hold
_PANEL = 16
_ROUNDS = 5


def weight_bytes_per_s(threads: int) -> float:
    """Bytes of rounded weights that are read in a second by so many threads, at best; takes half a second."""
    panel_bytes = _PANEL * (_N_INPUTS + _N_INPUTS // GROUP * 2)
    weights = np.ones(_N_OUTPUTS // _PANEL * panel_bytes, np.uint8)
    kernels = library.load()
    run = _summing(weights, threads) if kernels is None else _multiplying(kernels, weights, panel_bytes, threads)
    run()  # touches every page
    best_s = min(_timed(run) for _ in range(_ROUNDS))
    return len(weights) / best_s


def _multiplying(kernels: Any, weights: NDArray[np.uint8], panel_bytes: int, threads: int) -> Callable[[], object]:
    weight = Weight(
        panels=weights.ctypes.data,
        bias=None,
        panel_bytes=panel_bytes,
        n_outputs=_N_OUTPUTS,
        n_inputs=_N_INPUTS,
        bits=8,
        unit=1.0,
    )
    row, out = np.ones(_N_INPUTS, np.float32), np.empty(_N_OUTPUTS, np.float32)
    team = Team(kernels, threads)

    def run() -> None:
        kernels.green_code_product(
            team.handle,
            ctypes.byref(weight),
            ctypes.c_void_p(row.ctypes.data),
            1,
            ctypes.c_void_p(out.ctypes.data),
        )
        assert len(weights)  # kept as long as it is read

    return run


def _summing(weights: NDArray[np.uint8], threads: int) -> Callable[[], object]:
    parts = np.array_split(weights.view(np.int64), threads)

    def run() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(np.sum, parts))

    return run


def _timed(run: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    run()
    return time.perf_counter() - started_s
