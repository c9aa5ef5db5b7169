"""How much of the CPU's work was other programs': a counter of the whole package cannot tell them from us.

Reads the system's own account of CPU seconds, which ticks every 10 ms on Linux. It knows no joules.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

FOREIGN_SHARE = 0.2
"""From which share on a figure is marked: less is what any desktop does, and within what a window may be off anyway."""

_LEAST_S = 0.05  # CPU seconds in all, below which the system's ticks say nothing
_AT_REST = ("idle", "iowait", "guest", "guest_nice")  # guests are in "user" as well


class CpuLoad(NamedTuple):
    """CPU seconds since some origin: of this process, and of everybody."""

    own_s: float
    all_s: float


def cpu_load() -> CpuLoad:
    """Reads both clocks; where the system's may not be read, nobody else is seen."""
    own_s = time.process_time()
    try:
        times = psutil.cpu_times()
    except (OSError, psutil.Error):
        return CpuLoad(own_s=own_s, all_s=own_s)
    return CpuLoad(own_s=own_s, all_s=sum(times) - sum(getattr(times, name, 0.0) for name in _AT_REST))


def foreign_share(start: CpuLoad, end: CpuLoad) -> float | None:
    """Others' share of the CPU seconds between two readings; None where they were too few to tell."""
    own_s, all_s = end.own_s - start.own_s, end.all_s - start.all_s
    if max(own_s, all_s) < _LEAST_S:
        return None
    return max(0.0, 1.0 - own_s / all_s) if all_s > 0 else 0.0


def watch_cpu() -> Callable[[], float | None]:
    """Begins to watch the CPU: what it returns tells the others' share since; None where it cannot be told."""
    start = cpu_load()
    return lambda: foreign_share(start, cpu_load())


def watch_nobody() -> Callable[[], None]:
    """For what cannot be watched."""
    return lambda: None
