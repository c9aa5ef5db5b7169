"""What running something took: seconds, CPU seconds, and a counter's joules where there is one. Knows no decoder.

Where there is no counter, CPU seconds stand in for joules on a CPU, and seconds on a GPU: they need no assumption about
a machine's power, and shares of them can be compared.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from engine.energy.meter import WINDOW_SAFETY_FACTOR, EnergyWindow
from engine.model.loaded import synchronize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.config import Device
    from engine.energy.meter import EnergyMeter

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What one run took; `counter_j` is without idle power, and None where no counter could be trusted."""

    elapsed_s: float
    cpu_s: float
    counter_j: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """Which of the figures of a run stands for its energy.

    Attributes:
        unit: Such as "J", for people.
        told: What it is, one sentence.
    """

    unit: str
    told: str

    def of(self, spent: Spent) -> float:
        """The figure."""
        if self.unit == "J":
            assert spent.counter_j is not None
            return spent.counter_j
        return spent.elapsed_s if self.unit == "s" else spent.cpu_s


class Spending:
    """Measures runs on one device.

    Args:
        device: Where they run; it is waited for before each reading.
        meter: Its counter; None for none.
        idle_power_w: What the counter sees at rest, which is no run's.
    """

    def __init__(self, device: Device, meter: EnergyMeter | None, *, idle_power_w: float = 0.0) -> None:
        self._device, self._meter, self._idle_power_w = device, meter, idle_power_w

    def measure(self, run: Callable[[], T], elsewhere_s: Callable[[], float] | None = None) -> tuple[T, Spent]:
        """Runs once, or as often as the counter needs to be trusted; gives the last result, and the mean of a run.

        Args:
            run: What is measured.
            elsewhere_s: CPU seconds of other processes that compute for it, so far; None where there are none.
        """
        needed_s = 0.0 if self._meter is None else 2 * WINDOW_SAFETY_FACTOR * self._meter.refresh_s
        n_runs = 0
        synchronize(self._device)
        with EnergyWindow(self._meter) as window:
            start_s, start_cpu_s = time.perf_counter(), _cpu_s(elsewhere_s)
            while True:
                result = run()
                synchronize(self._device)
                n_runs += 1
                elapsed_s, cpu_s = time.perf_counter() - start_s, _cpu_s(elsewhere_s) - start_cpu_s
                if elapsed_s >= needed_s:
                    break
        active_j = None if window.energy_j is None else window.energy_j - self._idle_power_w * window.elapsed_s
        return result, Spent(
            elapsed_s=elapsed_s / n_runs,
            cpu_s=cpu_s / n_runs,
            counter_j=active_j / n_runs if active_j is not None and active_j > 0 else None,
        )

    def yardstick(self, spent: Iterable[Spent]) -> Yardstick:
        """What all of these runs can be compared by."""
        if self._meter is not None and all(each.counter_j is not None for each in spent):
            return Yardstick(
                unit="J",
                told=f"Joules are measured by {self._meter.name}, less {self._idle_power_w:.1f} W taken at rest.",
            )
        if self._device == "cpu":
            return Yardstick(
                unit="CPU s",
                told="No counter could be read here: CPU seconds of all threads stand in for joules, for they need no "
                "assumption about this machine's power.",
            )
        return Yardstick(unit="s", told="No counter could be read here: seconds stand in for joules.")


def _cpu_s(elsewhere_s: Callable[[], float] | None) -> float:
    return time.process_time() + (0.0 if elsewhere_s is None else elsewhere_s())
