"""A busy neighbour: how late a process that wakes every 10 ms is with its 2 ms of work, alone and beside other work.

An editor's UI thread is such a process while somebody types or scrolls. The neighbour is this very file, run by a bare
interpreter. Knows nothing of what runs beside it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD_S, WORK_S = 10e-3, 2e-3

_CALIBRATIONS = 100
_LOOPS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """By how much pieces of work end later than they would on a machine that is free, in seconds."""

    p50_s: float
    p95_s: float
    p99_s: float


def lateness_beside(work: Callable[[], object] | None, *, pieces: int) -> Lateness:
    """Runs the neighbour, and `work` over and over until it has ended.

    Args:
        work: Does some milliseconds of the work to measure; None leaves the neighbour alone.
        pieces: How often the neighbour wakes.
    """
    command = [sys.executable, "-I", __file__, str(pieces)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as neighbour:  # noqa: S603 - our own code
        assert neighbour.stdout is not None
        neighbour.stdout.readline()  # it knows by now how much work takes 2 ms
        while work is not None and neighbour.poll() is None:
            work()
        return lateness_of(json.loads(neighbour.stdout.readline()))


def lateness_of(late_s: list[float]) -> Lateness:
    """Sums up how late each piece ended."""
    ordered = sorted(late_s)
    p50_s, p95_s, p99_s = (ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.95, 0.99))
    return Lateness(p50_s=p50_s, p95_s=p95_s, p99_s=p99_s)


def _loop(n: int) -> float:
    """Computes for a while; gives how long."""
    started_s = time.perf_counter()
    total = 0
    for number in range(n):
        total += number
    return time.perf_counter() - started_s


def _wake_and_work(pieces: int, n_loops: int) -> list[float]:
    late_s = []
    due_s = time.perf_counter() + PERIOD_S
    for _ in range(pieces):
        time.sleep(max(0.0, due_s - time.perf_counter()))
        _loop(n_loops)
        ended_s = time.perf_counter()
        late_s.append(ended_s - due_s - WORK_S)
        due_s = max(due_s + PERIOD_S, ended_s)  # what was missed is not made up for
    return late_s


def _be_the_neighbour(pieces: int) -> None:
    n_loops = int(_LOOPS * WORK_S / min(_loop(_LOOPS) for _ in range(_CALIBRATIONS)))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdout.write(json.dumps(_wake_and_work(pieces, n_loops)) + "\n")


if __name__ == "__main__":
    _be_the_neighbour(int(sys.argv[1]))
