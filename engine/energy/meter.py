"""What an energy meter is, and the window that turns two readings of one into joules. Knows no vendor.

A *meter* is a counter of joules that only grows; a *window* is the difference of two readings. A hardware counter is
updated in steps (its *refresh period*), so a window is trusted only when it spans several of them.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from engine.energy.load import watch_nobody
from engine.errors import ConfigError, CounterResetError, MeterError
from engine.types import Provenance, combine_provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

WINDOW_SAFETY_FACTOR = 5.0
"""Refresh periods a window must span. Either end may lag by up to one period, so their difference is off by at most one
period's energy: at steady power 20 % of the shortest trusted window in the worst case, 8 % root mean square."""


class EnergyMeter(Protocol):
    """A counter of joules since an arbitrary origin, read before and after what is to be measured."""

    @property
    def name(self) -> str:
        """For people, such as "NVML counter, GPU 0"."""
        ...

    @property
    def provenance(self) -> Provenance:
        """How its joules are had."""
        ...

    @property
    def refresh_s(self) -> float:
        """The longest time between two updates of the counter, in seconds."""
        ...

    def read_j(self) -> float:
        """Reads the counter in joules; it never falls.

        The caller synchronises an asynchronous device first, or work still under way is missed.

        Raises:
            CounterResetError: It began anew since the last reading; the next reading counts on from here.
            MeterError: The counter can no longer be read, or does not hold a number; nothing else is ever raised.
        """
        ...

    def watch(self) -> Callable[[], float | None]:
        """Begins to watch who else is at work on what is counted.

        Returns:
            What tells the others' share of the work since; None where nobody can tell.
        """
        ...

    def close(self) -> None:
        """Gives back what the meter holds; it is not read afterwards."""
        ...


class EnergyWindow:
    """The joules and seconds between entering and leaving a `with` block. Never raises because of its meter.

    Attributes:
        energy_j: Joules of the window; None unless `trusted`.
        elapsed_s: Length of the window in seconds; 0.0 until it is left.
        cpu_s: CPU seconds in it; None until it is left, and without a clock for them.
        first_cpu_s: Those of them until `split` was called; None where it was not.
        trusted: True when there is a meter, it could be read at both ends, it advanced, and the window spans
            `WINDOW_SAFETY_FACTOR` refresh periods.
        refusal: Why the window is not trusted, one sentence; None when it is.
        foreign_share: Other programs' share of the work meanwhile, on what the meter counts; None where it cannot be
            told or the window is not trusted.
    """

    __slots__ = (
        "_clock",
        "_cpu_clock",
        "_meter",
        "_others",
        "_start_cpu_s",
        "_start_j",
        "_start_s",
        "cpu_s",
        "elapsed_s",
        "energy_j",
        "first_cpu_s",
        "foreign_share",
        "refusal",
    )

    def __init__(
        self,
        meter: EnergyMeter | None,
        *,
        clock: Callable[[], float] = time.perf_counter,
        cpu_clock: Callable[[], float] | None = None,
    ) -> None:
        self._meter = meter
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._others: Callable[[], float | None] = watch_nobody()
        self.foreign_share: float | None = None
        self._start_j = 0.0
        self._start_s = 0.0
        self._start_cpu_s = 0.0
        self.cpu_s: float | None = None
        self.first_cpu_s: float | None = None
        self.energy_j: float | None = None
        self.elapsed_s = 0.0
        self.refusal: str | None = "The window has not been closed." if meter else "There is no energy counter."

    @property
    def trusted(self) -> bool:
        """True once the window holds joules worth reporting."""
        return self.energy_j is not None

    @property
    def passed_s(self) -> float:
        """Seconds since it was entered."""
        return self._clock() - self._start_s

    def split(self) -> None:
        """Ends the window's first part."""
        if self._cpu_clock:
            self.first_cpu_s = self._cpu_clock() - self._start_cpu_s

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What happens meanwhile is none of the window's."""
        begun_s, begun_j, begun_cpu_s = self._clock(), self._read_j(), self._read_cpu_s()
        try:
            yield
        finally:
            self._start_cpu_s += self._read_cpu_s() - begun_cpu_s
            self._start_j += self._read_j() - begun_j
            self._start_s += self._clock() - begun_s

    @property
    def source(self) -> str | None:
        """The meter's name; None without a meter."""
        return self._meter.name if self._meter else None

    @property
    def provenance(self) -> Provenance:
        """How `energy_j` was had; `NONE` unless `trusted`."""
        return self._meter.provenance if self._meter and self.trusted else Provenance.NONE

    def __enter__(self) -> EnergyWindow:
        if self._meter:
            try:
                self._start_j = _read_at_start(self._meter)
                self._others = self._meter.watch()
            except MeterError as error:
                self._meter, self.refusal = None, str(error)
        self._start_cpu_s = self._read_cpu_s()
        self._start_s = self._clock()
        return self

    def _read_cpu_s(self) -> float:
        return self._cpu_clock() if self._cpu_clock else 0.0

    def _read_j(self) -> float:
        """The counter; 0 where it cannot be read, and then the window is not trusted."""
        try:
            return self._meter.read_j() if self._meter else 0.0
        except MeterError as error:
            self._meter, self.refusal = None, str(error)
            return 0.0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.elapsed_s = self.passed_s
        if self._cpu_clock:
            self.cpu_s = self._cpu_clock() - self._start_cpu_s
        if not self._meter:
            return
        try:
            energy_j = self._meter.read_j() - self._start_j
        except MeterError as meter_error:
            self.refusal = str(meter_error)
            return
        self.refusal = _refusal(self._meter, energy_j, self.elapsed_s)
        if self.refusal is None:
            self.energy_j, self.foreign_share = energy_j, self._others()


class StatedPowerMeter:
    """Joules of a machine without a counter: seconds times the power that somebody states."""

    provenance = Provenance.MODELLED
    refresh_s = 0.0

    def __init__(self, power_w: float, *, clock: Callable[[], float] = time.perf_counter) -> None:
        """Takes what the machine draws at work beyond what it draws at rest, in watts.

        Raises:
            ConfigError: That is no power.
        """
        if not 0 < power_w < float("inf"):
            raise ConfigError(f"A power is a number of watts above 0, not {power_w:g}.")
        self._power_w, self._clock = power_w, clock

    @property
    def name(self) -> str:
        """What its joules are, such as "seconds at a stated 20 W"."""
        return f"seconds at a stated {self._power_w:g} W"

    def read_j(self) -> float:
        """Reads the clock."""
        return self._power_w * self._clock()

    watch = staticmethod(watch_nobody)

    def close(self) -> None:
        """Does nothing."""


class CompositeMeter:
    """The sum of meters of separate parts of the machine, such as GPU and CPU package.

    The parts are named by the keys, and each meter stands under one of them, so nothing is counted twice. The sum is as
    slow as its slowest part, and its provenance is `MIXED` where theirs differ.
    """

    def __init__(self, parts: Mapping[str, EnergyMeter]) -> None:
        assert parts, "a composite of nothing measures nothing"
        assert len({id(meter) for meter in parts.values()}) == len(parts), "one meter stands for two parts"
        self._meters = tuple(parts.values())
        self._last_j = (0.0,) * len(self._meters)

    @property
    def name(self) -> str:
        """The parts' names, joined."""
        return " + ".join(meter.name for meter in self._meters)

    @property
    def provenance(self) -> Provenance:
        """The parts' common provenance, or `MIXED`."""
        return combine_provenance(meter.provenance for meter in self._meters)

    @property
    def refresh_s(self) -> float:
        """The slowest part's refresh period, in seconds."""
        return max(meter.refresh_s for meter in self._meters)

    def read_j(self) -> float:
        """Reads every part and adds up the joules.

        Raises:
            MeterError: A part can no longer be read; a sum without it would pass for the whole.
        """
        self._last_j = tuple(meter.read_j() for meter in self._meters)
        return sum(self._last_j)

    def watch(self) -> Callable[[], float | None]:
        """Begins to watch every part; each share counts by the part's joules, and nobody is seen where none is told."""
        others, start_j = [meter.watch() for meter in self._meters], self._last_j

        def foreign_share() -> float | None:
            shares = [told() for told in others]
            spent_j = [end - start for start, end in zip(start_j, self._last_j, strict=True)]
            if all(share is None for share in shares) or sum(spent_j) <= 0:
                return None
            return sum(joules * (share or 0.0) for share, joules in zip(shares, spent_j, strict=True)) / sum(spent_j)

        return foreign_share

    def close(self) -> None:
        """Closes every part."""
        for meter in self._meters:
            meter.close()


def _read_at_start(meter: EnergyMeter) -> float:
    """Reads a meter at the start of a window, which a reset before it does not spoil."""
    try:
        return meter.read_j()
    except CounterResetError:
        return meter.read_j()


def _refusal(meter: EnergyMeter, energy_j: float, elapsed_s: float) -> str | None:
    """Says why a closed window is not to be reported, or None when it is."""
    needed_s = meter.refresh_s * WINDOW_SAFETY_FACTOR
    if elapsed_s < needed_s:
        return f"The window of {elapsed_s:.3f} s is shorter than the {needed_s:.3f} s that {meter.name} needs."
    if energy_j <= 0:  # as in virtual machines, where the counter's file exists and stands still
        return f"{meter.name} did not advance during {elapsed_s:.3f} s."
    return None
