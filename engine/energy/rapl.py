"""Joules of the CPU from RAPL, read through Linux powercap. Knows only files under one folder.

RAPL (running average power limit) counts microjoules per *domain*: "package-N" is a whole CPU socket, "dram" its
memory, which the package does not contain. "core" and "uncore" are parts of a package, and "psys" is the whole
platform: adding any of them would count joules twice. AMD processors answer through the same files. The mirror tree
"intel-rapl-mmio" repeats package-0 and is left alone. See https://docs.kernel.org/power/powercap/powercap.html.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.energy.load import watch_cpu
from engine.errors import CounterResetError, MeterError
from engine.sentences import Sentence
from engine.types import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable

POWERCAP_ROOT = Path("/sys/class/powercap")
RAPL_REFRESH_S = 0.001
"""The counters are updated about every millisecond (Intel SDM volume 3B, 16.10.1, RAPL interfaces)."""

MAX_DOMAIN_W = 1_000.0
"""More than any domain draws: the largest server packages are rated at 500 W."""

_LATE_S = 0.02  # by which an update may lag behind the clock, with much to spare


def open_rapl_meter(root: Path = POWERCAP_ROOT, *, clock: Callable[[], float] = time.monotonic) -> RaplMeter:
    """Opens the counters of all CPU packages, and of their memory where it has one.

    Args:
        root: The powercap folder.
        clock: Seconds that only grow.

    Raises:
        MeterError: There are no such counters, or they may not be read; the message says how to allow it.
    """
    zones = sorted(root.glob("intel-rapl:*"))
    if not zones:
        raise MeterError(_absence(root))
    counted = {domain: zone for zone in zones if _is_counted(domain := _domain(zone))}
    if not counted:
        raise MeterError(Sentence("The energy counters under {root} have no CPU package among them.", root=root))
    return RaplMeter({domain: _WrappingCounter.open(zone) for domain, zone in counted.items()}, clock=clock)


class RaplMeter:
    """The sum of several RAPL counters, each with its own wrap-around. Read from one thread at a time.

    A counter wraps after some 260 kJ, more than an hour at full load; a window longer than that loses whole turns.
    It begins anew where the driver is loaded again or the machine was suspended. Power tells the two apart: a step that
    needs more than `MAX_DOMAIN_W`, as a wrap or as it stands, is no energy.
    """

    provenance = Provenance.MEASURED
    refresh_s = RAPL_REFRESH_S

    def __init__(self, counters: dict[str, _WrappingCounter], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._counters = counters
        self._clock = clock
        self._last_s = clock()

    @property
    def name(self) -> str:
        """The domains summed, such as "RAPL counter, package-0 and package-0/dram"."""
        return "RAPL counter, " + " and ".join(self._counters)

    def read_j(self) -> float:
        """Reads all domains and adds up the joules since the meter was opened.

        Raises:
            CounterResetError: A counter began anew since the last reading; the next one counts on from here.
            MeterError: A counter can no longer be read.
        """
        now_s = self._clock()
        most_uj = 1e6 * MAX_DOMAIN_W * (now_s - self._last_s + _LATE_S)
        # Every domain moves on before one is judged: they begin anew together.
        anew = [domain for domain, counter in self._counters.items() if not counter.advance(most_uj)]
        self._last_s = now_s
        if anew:
            raise CounterResetError(
                Sentence("The CPU's energy counter began anew for {domains}.", domains=" & ".join(anew))
            )
        return sum(counter.total_uj for counter in self._counters.values()) / 1e6

    watch = staticmethod(watch_cpu)

    def close(self) -> None:
        """Does nothing: each reading closes its files."""


@dataclass(slots=True, kw_only=True)
class _WrappingCounter:
    """A counter of microjoules that starts again at 0 after `range_uj`."""

    path: Path
    range_uj: int
    last_uj: int
    total_uj: int = 0

    @classmethod
    def open(cls, zone: Path) -> _WrappingCounter:
        path = zone / "energy_uj"
        return cls(path=path, range_uj=_read_int(zone / "max_energy_range_uj"), last_uj=_read_int(path))

    def advance(self, most_uj: float) -> bool:
        """Reads the counter; False where the step since the last reading would be more than `most_uj`."""
        now_uj = _read_int(self.path)
        step_uj = now_uj - self.last_uj
        if step_uj < 0:
            step_uj += self.range_uj
        self.last_uj = now_uj
        if not 0 <= step_uj <= most_uj:
            return False
        self.total_uj += step_uj
        return True


def _domain(zone: Path) -> str:
    """Names a zone: "package-0" for a top-level one, "package-0/dram" for one inside it."""
    name = _read(zone / "name")
    _, *index = zone.name.split(":")  # "intel-rapl:0:1" is zone 1 inside zone 0
    if len(index) == 1:
        return name
    return f"{_read(zone.parent / f'intel-rapl:{index[0]}' / 'name')}/{name}"


def _is_counted(domain: str) -> bool:
    """True for packages and their memory, which contain all else but "psys"."""
    package, _, part = domain.partition("/")
    return package.startswith("package-") and part in {"", "dram"}


def _read_int(path: Path) -> int:
    text = _read(path)
    try:
        return int(text)
    except ValueError:
        told = Sentence(
            "The CPU's energy counter {path} holds {text!r} instead of a number.", path=path, text=text[:40]
        )
        raise MeterError(told) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except PermissionError:
        # Root only since CVE-2020-8694 (a power side channel), Linux 5.10.
        raise MeterError(
            Sentence(
                "The CPU's energy counter {path} may only be read by root; to allow it until the next start of the "
                "machine, run: sudo chmod a+r {root}/intel-rapl:*/energy_uj (every program may then watch the CPU's "
                "power, from which secrets of others can be guessed: CVE-2020-8694)",
                path=path,
                root=path.parent.parent,
            )
        ) from None
    except OSError as error:
        told = Sentence("The CPU's energy counter {path} cannot be read: {reason}.", path=path, reason=error.strerror)
        raise MeterError(told) from None


def _absence(root: Path) -> str:
    if sys.platform != "linux":
        return Sentence("The CPU's energy counter (RAPL) is read through Linux, and this machine runs another system.")
    return Sentence("This machine shows no energy counter of its CPU: {root} has no intel-rapl folder.", root=root)
