"""The pace of a CPU: how many times the CPU seconds that requests take are those that the shipped prices say.

Prices are seconds of one CPU times a stated power. Another CPU takes perhaps twice as many seconds, which no price
knows; but seconds can be measured everywhere, so that the power alone has to be stated. The pace is learnt anew by each
engine, within its first requests, and is one factor in cost and baseline: the share that is saved stays.

To read a prompt takes a CPU's arithmetic, to write its memory, and CPUs differ in each. So each has a pace as well, by
which a request's joules are split. That of writing has more of Python in it than full depth would have, so it does not
say what full depth would have cost.

One request is a poor witness: a small one has Python in it that no price knows, a first one warms up, and in a server
other threads read projects meanwhile. So requests are summed to groups of some work, and the median of the newest
counts; and where the system tells the time of single threads, that of Python's others is left out.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from engine.config import COMPUTING_THREADS
from engine.energy.cost_model import CPU_ACTIVE_POWER_W
from engine.types import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GROUP_S = 0.1
"""Modelled CPU seconds of a group: a request or two, or some dozens of keys that reuse what was read. What is assumed
before weighs as much."""

WRITING_GROUP_S = 0.05
"""The same for what is written, which is less."""

GROUPS = 9
"""The newest that count: some 20 requests; once five of them are of a clock that has changed, all follow it."""

_FEW = 3  # groups, of which no median is worth having


class Pace:
    """What an engine has learnt of its CPU. Learns on one thread; the factors are read from any.

    Attributes:
        factor: Measured seconds over modelled ones.
        reading: The same of prompts alone.
        writing: The same of all the rest.
        clock: What measured seconds are read from.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self.factor = self.reading = self.writing = 1.0
        self.clock = clock or OwnCpuClock()
        self._all, self._reading, self._writing = _Witnesses(GROUP_S), _Witnesses(GROUP_S), _Witnesses(WRITING_GROUP_S)

    def learn(self, modelled_j: Mapping[Phase, float], cpu_s: float, read_s: float | None) -> None:
        """Learns from a request.

        Args:
            modelled_j: The joules of its work by the shipped prices; one that ran no layer says nothing.
            cpu_s: The CPU seconds that it took; where the clock stands still or goes back, nobody learns of it.
            read_s: Those of them until its prompt was read; None where it was not, or not to its end.
        """
        reading_j = modelled_j.get(Phase.PREFILL, 0.0)
        writing_j = sum(modelled_j.values()) - reading_j
        if reading_j <= 0.0:
            read_s = 0.0  # what came before was done to write
        elif read_s is None or writing_j <= 0.0:
            read_s = cpu_s
        self.factor = self._all.after(reading_j + writing_j, cpu_s, 1.0)
        self.reading = self._reading.after(reading_j, read_s, self.factor)
        self.writing = self._writing.after(writing_j, cpu_s - read_s, self.factor)

    def split(self, modelled_j: Mapping[Phase, float]) -> dict[Phase, float]:
        """The joules of a request's phases at the paces of reading and writing; their sum is at the pace of all."""
        own = {
            phase: phase_j * (self.reading if phase is Phase.PREFILL else self.writing)
            for phase, phase_j in modelled_j.items()
        }
        whole_j = sum(own.values())
        scale = self.factor * sum(modelled_j.values()) / whole_j if whole_j else 0.0
        return {phase: phase_j * scale for phase, phase_j in own.items()}


class _Witnesses:
    """Modelled and measured seconds of one kind of work, in groups of `group_s` modelled ones."""

    def __init__(self, group_s: float) -> None:
        self._group_s = group_s
        self._groups: deque[tuple[float, float]] = deque(maxlen=GROUPS)
        self._open = 0.0, 0.0  # the group that is not full

    def after(self, modelled_j: float, measured_s: float, assumed: float) -> float:
        """How many times the modelled seconds were measured, once these are known as well.

        Args:
            modelled_j: Joules by the shipped prices; none say nothing.
            measured_s: CPU seconds.
            assumed: What to think while hardly any were measured.
        """
        if modelled_j > 0.0:
            self._open = self._open[0] + modelled_j / CPU_ACTIVE_POWER_W, self._open[1] + max(0.0, measured_s)
            if self._open[0] >= self._group_s:
                if self._open[1] > 0.0:
                    self._groups.append(self._open)
                self._open = 0.0, 0.0
        if len(self._groups) >= _FEW:
            return statistics.median(measured / modelled for modelled, measured in self._groups)
        seen = [(self._group_s, assumed * self._group_s), self._open, *self._groups]
        return sum(measured for _, measured in seen) / sum(modelled for modelled, _ in seen)


class OwnCpuClock:
    """CPU seconds of this process without those of Python's other threads, where Linux tells them.

    Threads that run layers count, and so do those that are not Python's: they are the kernels' team, or another
    runtime's. Differences of two readings on one thread mean something, and nothing else.
    """

    def __init__(self) -> None:
        self._seen_s: dict[int, float] = {}  # by the system's number of the thread
        self._others_s = 0.0

    def __call__(self) -> float:
        """Reads it."""
        seen_s = _threads_s() if sys.platform == "linux" else {}
        me = threading.get_native_id()
        self._others_s += sum(
            spent_s - self._seen_s.get(thread, 0.0) for thread, spent_s in seen_s.items() if thread != me
        )
        self._seen_s = seen_s
        return time.process_time() - self._others_s


def _threads_s() -> dict[int, float]:
    """CPU seconds of Python's threads that run no layers, by the system's number; without any that has just ended."""
    others = [thread for thread in threading.enumerate() if not thread.name.startswith(COMPUTING_THREADS)]
    found_s = {thread.native_id: _thread_s(thread.native_id) for thread in others if thread.native_id is not None}
    return {thread: spent_s for thread, spent_s in found_s.items() if spent_s is not None}


def _thread_s(thread: int) -> float | None:
    """One's CPU seconds; None where it has ended, or the kernel does not count."""
    try:
        return int(Path(f"/proc/self/task/{thread}/schedstat").read_bytes().split()[0]) * 1e-9
    except (OSError, ValueError, IndexError):
        return None
