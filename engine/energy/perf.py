"""Joules of the CPU through Linux perf: the same counters as RAPL's files, for programs with CAP_PERFMON.

perf shows them as the device "power": the number of the device, an event and its scale for each domain, and one CPU of
each package to open it on. Knows the system call and files under one folder. See `man perf_event_open`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from engine.energy.load import watch_cpu
from engine.energy.rapl import RAPL_REFRESH_S
from engine.errors import MeterError
from engine.sentences import Sentence
from engine.types import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PERF_ROOT = Path("/sys/bus/event_source/devices")

_EVENTS = {"package": "energy-pkg", "dram": "energy-ram"}  # they share no joules; all others are parts of the package
_SYSTEM_CALL = 298  # on x86-64; no other Linux has this device
_ATTRIBUTES = struct.Struct("<IIQ112x")  # of perf_event_attr: type, size and config; all else is zero
_CLOSE_ON_EXEC = 8


def perf_event_open(kind: int, config: int, cpu: int) -> int:
    """Opens one counter of a CPU's package, of all programs on it; gives its file.

    Raises:
        OSError: The kernel refuses.
    """
    attributes = ctypes.create_string_buffer(_ATTRIBUTES.pack(kind, _ATTRIBUTES.size, config), _ATTRIBUTES.size)
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    file = call(_SYSTEM_CALL, attributes, -1, cpu, -1, ctypes.c_ulong(_CLOSE_ON_EXEC))
    if file < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(file)


def open_perf_meter(
    root: Path = PERF_ROOT, *, open_event: Callable[[int, int, int], int] = perf_event_open
) -> PerfMeter:
    """Opens the counters of all CPU packages, and of their memory where it has one.

    Args:
        root: The folder of perf's devices.
        open_event: Opens the counter of a device's event on a CPU, and gives its file.

    Raises:
        MeterError: There are no such counters, or they may not be read.
    """
    device = root / "power"
    if not device.is_dir():
        raise MeterError(Sentence("Linux shows no energy counter of the CPU through perf either."))
    events = {name: device / "events" / event for name, event in _EVENTS.items()}
    files: dict[str, list[int]] = {}
    scales: dict[str, float] = {}
    try:
        for name, event in events.items():
            if event.exists():
                scales[name] = float(_read(event.with_name(f"{event.name}.scale")))
                kind, config = int(_read(device / "type")), _config(_read(event))
                files[name] = []
                for cpu in _cpus(_read(device / "cpumask")):
                    files[name].append(open_event(kind, config, cpu))
    except (OSError, ValueError) as error:
        _close(files)
        raise MeterError(_refusal(error)) from None
    if not files:
        raise MeterError(Sentence("Among perf's energy counters there is none of a CPU package."))
    return PerfMeter(files, scales)


class PerfMeter:
    """The sum of several counters, which the kernel keeps in 64 bits: none of them wraps."""

    provenance = Provenance.MEASURED
    refresh_s = RAPL_REFRESH_S

    def __init__(self, files: Mapping[str, Sequence[int]], scales: Mapping[str, float]) -> None:
        """Takes the open files of each domain, and what a step of its counters is in joules."""
        self._files, self._scales = files, scales

    @property
    def name(self) -> str:
        """The domains summed, such as "RAPL counter by perf, package and dram"."""
        return "RAPL counter by perf, " + " and ".join(self._files)

    def read_j(self) -> float:
        """Reads all counters and adds up the joules.

        Raises:
            MeterError: A counter can no longer be read.
        """
        try:
            return sum(self._scales[name] * _count(file) for name, files in self._files.items() for file in files)
        except (OSError, struct.error) as error:
            told = Sentence("The CPU's energy counter can no longer be read through perf: {error}.", error=error)
            raise MeterError(told) from None

    watch = staticmethod(watch_cpu)

    def close(self) -> None:
        """Closes the counters."""
        _close(self._files)


def _count(file: int) -> int:
    (count,) = struct.unpack("<Q", os.read(file, 8))
    return int(count)


def _close(files: Mapping[str, Sequence[int]]) -> None:
    for file in (file for of_domain in files.values() for file in of_domain):
        os.close(file)


def _config(event: str) -> int:
    """The number in "event=0x02"."""
    found = re.fullmatch(r"event=(0x[0-9a-fA-F]+|\d+)", event)
    if found is None:
        raise ValueError(event)
    return int(found[1], 0)


def _cpus(text: str) -> list[int]:
    """The numbers in "0,18-19"."""
    ranges = [part.partition("-") for part in text.split(",")]
    return [cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1)]


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii", errors="replace").strip()


def _refusal(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno in {errno.EACCES, errno.EPERM}:
        return Sentence(
            "The CPU's energy counter may be read through perf with CAP_PERFMON alone; to give it to this Python, run: "
            "sudo setcap cap_perfmon+ep {python} (what it runs may then watch all programs)",
            python=Path(sys.executable).resolve(),
        )
    reason = error.strerror if isinstance(error, OSError) else Sentence("its files hold something else")
    return Sentence("The CPU's energy counter cannot be read through perf: {reason}.", reason=reason)
