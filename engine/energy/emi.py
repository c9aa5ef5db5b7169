"""Joules of the CPU on Windows, from its Energy Meter Interface. Needs no administrator.

A device of this interface has channels, each a counter of picowatt hours. Windows shows a processor's RAPL counters
there, as "RAPL_Package0_PKG", "RAPL_Package0_DRAM" and so on: a package and its memory are counted, and "PP0" and "PP1"
are parts of a package. A processor of several dies may show a device for each of them that repeats the one counter of
its package: what reads the same is the same, and is counted once. See
https://learn.microsoft.com/windows-hardware/drivers/powermeter/energy-meter-interface.
"""

from __future__ import annotations

import re
import struct
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from engine.energy.load import watch_cpu
from engine.errors import CounterResetError, MeterError
from engine.sentences import Sentence
from engine.types import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

J_PER_PICOWATT_HOUR = 3.6e-9

# CTL_CODE(FILE_DEVICE_UNKNOWN, n, METHOD_BUFFERED, FILE_READ_ACCESS) of emi.h
GET_VERSION, GET_METADATA_SIZE, GET_METADATA, GET_MEASUREMENT = 0x224000, 0x224004, 0x224008, 0x22400C

READ_AT_ONCE_S, READ_LATER_S = 0.001, 0.1
"""Refresh of a counter that is read when it is asked for, as RAPL's registers are, and, assumed, of any other."""

_MOST_W = 1_000.0  # more than a package draws: what lies nearer to another than that since it was read, is the other
_LATE_S = 0.1
_NAME_CHARS = 16  # of the hardware's maker and model, in front of what is read here
_PICOWATT_HOURS = 0
_COUNTED = re.compile(r"RAPL_Package\d+_(?:PKG|DRAM)", re.IGNORECASE)


class DeviceControl(Protocol):
    """What Windows does for us; `engine.energy.emi_windows` calls it. All raise `OSError`."""

    def paths(self) -> Sequence[str]:
        """The devices that have an energy meter."""
        ...

    def open(self, path: str) -> int:
        """A handle to one of them."""
        ...

    def control(self, handle: int, code: int, n_bytes: int) -> bytes:
        """The answer of a device to a control code, at most so many bytes."""
        ...

    def close(self, handle: int) -> None:
        """Gives a handle back."""
        ...


def open_emi_meter(devices: DeviceControl | None = None, *, clock: Callable[[], float] = time.monotonic) -> EmiMeter:
    """Opens the counters of all CPU packages, and of their memory where it has one.

    Args:
        devices: Windows; None is this machine's, if it is one.
        clock: Seconds that only grow.

    Raises:
        MeterError: There are no such counters, or they cannot be read.
    """
    devices = devices or _this_machine()
    opened: list[int] = []
    try:
        found = [channel for path in devices.paths() for channel in _channels(devices, path, opened)]
        distinct = _distinct(devices, _counted(found), clock)
        refresh_s = READ_AT_ONCE_S if _is_read_at_once(devices, distinct) else READ_LATER_S
    except (OSError, struct.error) as error:
        _close_all(devices, opened)
        raise MeterError(Sentence("Windows' energy meter cannot be read: {reason}.", reason=_reason(error))) from None
    except MeterError:
        _close_all(devices, opened)
        raise
    for handle in opened:
        if handle not in {channel.handle for channel in distinct}:
            devices.close(handle)
    return EmiMeter(devices, distinct, refresh_s=refresh_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One counter: of a device, the channel at an index, of so many."""

    handle: int
    index: int
    n_channels: int
    name: str


class EmiMeter:
    """The sum of some channels. Read from one thread at a time."""

    provenance = Provenance.MEASURED

    def __init__(self, devices: DeviceControl, channels: Sequence[Channel], *, refresh_s: float) -> None:
        self.refresh_s = refresh_s
        self._devices, self._channels = devices, tuple(channels)
        self._last: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        """The channels summed, such as "EMI counter, RAPL_Package0_PKG"."""
        return "EMI counter, " + " and ".join(channel.name for channel in self._channels)

    def read_j(self) -> float:
        """Reads every channel and adds up the joules.

        Raises:
            CounterResetError: A counter began anew since the last reading; the next one counts on from here.
            MeterError: A counter can no longer be read.
        """
        try:
            energies = tuple(energy for energy, _ in _measure(self._devices, self._channels))
        except (OSError, struct.error) as error:
            raise MeterError(
                Sentence("Windows' energy meter can no longer be read: {reason}.", reason=_reason(error))
            ) from None
        last, self._last = self._last, energies
        if last is not None and any(now < before for now, before in zip(energies, last, strict=True)):
            raise CounterResetError(Sentence("The CPU's energy counter began anew."))
        return sum(energies) * J_PER_PICOWATT_HOUR

    watch = staticmethod(watch_cpu)

    def close(self) -> None:
        """Closes the devices."""
        _close_all(self._devices, {channel.handle for channel in self._channels})


def _channels(devices: DeviceControl, path: str, opened: list[int]) -> list[Channel]:
    """The channels of a device, which is opened; none of one that may not be opened or counts in other units."""
    try:
        handle = devices.open(path)
    except OSError:
        return []
    opened.append(handle)
    (version,) = struct.unpack_from("<H", devices.control(handle, GET_VERSION, 2))
    (n_bytes,) = struct.unpack_from("<I", devices.control(handle, GET_METADATA_SIZE, 4))
    metadata = devices.control(handle, GET_METADATA, n_bytes)
    names = _names(metadata) if version == 2 else [_single_name(metadata)] if version == 1 else []  # noqa: PLR2004
    return [
        Channel(handle=handle, index=index, n_channels=len(names), name=name)
        for index, name in enumerate(names)
        if name is not None
    ]


def _names(metadata: bytes) -> list[str | None]:
    """The channels' names of an EMI_METADATA_V2; None for one in a unit that is not ours."""
    at = 2 * 2 * _NAME_CHARS + 2  # behind the hardware's maker, model and revision
    (n_channels,) = struct.unpack_from("<H", metadata, at)
    at += 2
    names: list[str | None] = []
    for _ in range(n_channels):
        unit, n_bytes = struct.unpack_from("<iH", metadata, at)
        names.append(_text(metadata[at + 6 : at + 6 + n_bytes]) if unit == _PICOWATT_HOURS else None)
        at += 6 + n_bytes
    return names


def _single_name(metadata: bytes) -> str | None:
    """The name of the one channel of an EMI_METADATA_V1."""
    at = 4 + 2 * 2 * _NAME_CHARS + 2
    (unit,) = struct.unpack_from("<i", metadata)
    (n_bytes,) = struct.unpack_from("<H", metadata, at)
    return _text(metadata[at + 2 : at + 2 + n_bytes]) if unit == _PICOWATT_HOURS else None


def _counted(channels: Sequence[Channel]) -> list[Channel]:
    counted = [channel for channel in channels if _COUNTED.fullmatch(channel.name)]
    if not counted:
        names = ", ".join(sorted({channel.name for channel in channels})) or Sentence("none")
        told = Sentence(
            "Windows shows no energy counter of a CPU package; its energy meters are: {names}.", names=names
        )
        raise MeterError(told)
    return counted


def _distinct(devices: DeviceControl, channels: Sequence[Channel], clock: Callable[[], float]) -> list[Channel]:
    """The channels without those that repeat another of the same name."""
    start_s = clock()
    energies = [energy for energy, _ in _measure(devices, channels)]
    near = _MOST_W * (clock() - start_s + _LATE_S) / J_PER_PICOWATT_HOUR
    kept: list[tuple[Channel, int]] = []
    for channel, energy in zip(channels, energies, strict=True):
        if not any(other.name == channel.name and abs(energy - counted) <= near for other, counted in kept):
            kept.append((channel, energy))
    return [channel for channel, _ in kept]


def _is_read_at_once(devices: DeviceControl, channels: Sequence[Channel]) -> bool:
    """Whether each reading is of its own moment, as the device's clock says."""
    first = [time_ for _, time_ in _measure(devices, channels)]
    second = [time_ for _, time_ in _measure(devices, channels)]
    return all(now > before for now, before in zip(second, first, strict=True))


def _measure(devices: DeviceControl, channels: Iterable[Channel]) -> list[tuple[int, int]]:
    """Energy and time of each channel, in picowatt hours and 100 ns; a device is asked once."""
    answers: dict[int, bytes] = {}
    for channel in channels:
        if channel.handle not in answers:
            answers[channel.handle] = devices.control(channel.handle, GET_MEASUREMENT, 16 * channel.n_channels)
    return [struct.unpack_from("<QQ", answers[channel.handle], 16 * channel.index) for channel in channels]


def _text(utf16: bytes) -> str:
    return utf16.decode("utf-16-le", errors="replace").partition("\0")[0]


def _close_all(devices: DeviceControl, handles: Iterable[int]) -> None:
    for handle in handles:
        devices.close(handle)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return Sentence("it answers in another form than Microsoft documents")


def _this_machine() -> DeviceControl:
    if sys.platform == "win32":
        from engine.energy.emi_windows import Windows

        return Windows.load()
    raise MeterError(Sentence("Windows' energy meter is read on Windows, and this machine runs another system."))
