"""Joules of the CPU and the memory of a Mac with Apple silicon, through the library zeus-apple-silicon. Needs no root.

The library reads the counters of IOReport, in millijoules since the machine was started. The GPU and the neural engine
are counted apart there and left out: no model of ours runs on them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from engine.energy.load import watch_cpu
from engine.errors import CounterResetError, MeterError
from engine.sentences import Sentence
from engine.types import Provenance

if TYPE_CHECKING:
    from types import ModuleType

APPLE_REFRESH_S = 0.1
"""Assumption: Apple documents none; the longest that is known of other makers' counters."""

_COUNTED = ("cpu_total_mj", "dram_mj")


def open_apple_meter(library: ModuleType | None = None) -> AppleMeter:
    """Opens the counters of the CPU and, where the chip has one, of the memory.

    Args:
        library: The module `zeus_apple_silicon`; None imports it.

    Raises:
        MeterError: It is not there, or this chip shows no counter of its CPU.
    """
    library = library or _import_library()
    try:
        monitor = library.AppleEnergyMonitor()
        metrics = monitor.get_cumulative_energy()
    except RuntimeError as error:
        raise MeterError(Sentence("The Mac's energy cannot be read: {error}.", error=error)) from None
    counted = [name for name in _COUNTED if getattr(metrics, name, None) is not None]
    if _COUNTED[0] not in counted:
        raise MeterError(Sentence("This Mac shows no energy counter of its CPU."))
    return AppleMeter(monitor, counted)


class AppleMeter:
    """The sum of some counters of the chip. Read from one thread at a time."""

    provenance = Provenance.MEASURED
    refresh_s = APPLE_REFRESH_S

    def __init__(self, monitor: Any, counted: list[str]) -> None:  # noqa: ANN401 - a class of C++ without types
        self._monitor, self._counted = monitor, counted
        self._last_mj = 0

    @property
    def name(self) -> str:
        """What is summed, such as "IOReport counter, CPU and memory"."""
        return "IOReport counter, CPU" + (" and memory" if len(self._counted) > 1 else "")

    def read_j(self) -> float:
        """Reads the counters and adds up the joules.

        Raises:
            CounterResetError: They began anew since the last reading; the next one counts on from here.
            MeterError: They can no longer be read.
        """
        try:
            metrics = self._monitor.get_cumulative_energy()
            energy_mj = sum(int(getattr(metrics, name)) for name in self._counted)
        except (RuntimeError, TypeError) as error:
            raise MeterError(Sentence("The Mac's energy can no longer be read: {error}.", error=error)) from None
        last_mj, self._last_mj = self._last_mj, energy_mj
        if energy_mj < last_mj:
            raise CounterResetError(Sentence("The Mac's energy counter began anew."))
        return energy_mj / 1000.0

    watch = staticmethod(watch_cpu)

    def close(self) -> None:
        """Does nothing: the library holds nothing open between readings."""


def _import_library() -> ModuleType:
    try:
        return importlib.import_module("zeus_apple_silicon")
    except ImportError:
        raise MeterError(
            Sentence(
                "The Mac's energy cannot be read without the Python module zeus_apple_silicon, which is for Apple "
                "silicon alone; install zeus-apple-silicon."
            )
        ) from None
