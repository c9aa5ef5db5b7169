"""Windows' energy meter through its real calls, answered by what stands for Windows: bytes as emi.h has them."""

# ruff: noqa: ANN401, N802, PLR0917 - functions called and shaped as Windows has them

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass, field
from typing import Any

import pytest

from engine.energy.detect import detect_meter
from engine.energy.emi import (
    GET_MEASUREMENT,
    GET_METADATA,
    GET_METADATA_SIZE,
    GET_VERSION,
    READ_AT_ONCE_S,
    READ_LATER_S,
    EmiMeter,
    open_emi_meter,
)
from engine.energy.emi_windows import Windows
from engine.energy.meter import EnergyWindow
from engine.errors import CounterResetError, MeterError
from tests.engine.energy.fakes import FakeClock

WATT_HOUR = 10**12  # in the counter's units
J = WATT_HOUR / 3600
INVALID_HANDLE = ctypes.c_void_p(-1).value


@dataclass
class Device:
    """One energy meter: the joules of its channels by name."""

    channels: dict[str, float]
    version: int = 2
    unit: int = 0
    is_open: bool = False
    is_locked: bool = False
    is_lost: bool = False
    answers_at_once: bool = True
    now: int = 0  # in 100 ns
    metadata: bytes | None = None  # instead of the right one

    def answer(self, code: int) -> bytes:
        if code == GET_VERSION:
            return struct.pack("<H", self.version)
        if code == GET_METADATA_SIZE:
            return struct.pack("<I", len(self.answer(GET_METADATA)))
        if code == GET_METADATA:
            return self._metadata() if self.metadata is None else self.metadata
        assert code == GET_MEASUREMENT
        self.now += int(self.answers_at_once)
        return b"".join(struct.pack("<QQ", round(joules * J), self.now) for joules in self.channels.values())

    def _metadata(self) -> bytes:
        hardware = "Intel".encode("utf-16-le").ljust(32, b"\0") + bytes(32) + struct.pack("<H", 3)
        names = [(name + "\0").encode("utf-16-le") for name in self.channels]
        if self.version == 1:
            return struct.pack("<i", self.unit) + hardware + struct.pack("<H", len(names[0])) + names[0]
        return (
            hardware
            + struct.pack("<H", len(names))
            + b"".join(struct.pack("<iH", self.unit, len(name)) + name for name in names)
        )


@dataclass
class FakeWindows:
    """The functions of cfgmgr32 and kernel32 that are called; handles are numbers of devices, from 100 on."""

    devices: list[Device]
    asked: list[int] = field(default_factory=list)
    fails: int = 0

    def _list(self) -> bytes:
        return "".join(f"\\\\?\\meter{n}\0" for n in range(len(self.devices))).encode("utf-16-le") + b"\0\0"

    def CM_Get_Device_Interface_List_SizeW(self, n_chars: Any, guid: Any, device: None, flags: int) -> int:
        assert bytes(guid._obj).hex() == "4483bd45d67ecf49a440c276c933b053"
        n_chars._obj.value = len(self._list()) // 2
        return self.fails

    def CM_Get_Device_Interface_ListW(self, guid: Any, device: None, names: Any, n_chars: int, flags: int) -> int:
        assert n_chars == len(self._list()) // 2
        ctypes.memmove(names, self._list(), len(self._list()))
        return 0

    def CreateFileW(self, path: str, *rights: object) -> int | None:
        number = int(path.removeprefix("\\\\?\\meter"))
        if self.devices[number].is_locked:
            return INVALID_HANDLE
        self.devices[number].is_open = True
        return 100 + number

    def DeviceIoControl(
        self, handle: int, code: int, data: None, n_data: int, answer: Any, n_bytes: int, n_answered: Any, overlap: None
    ) -> int:
        device = self.devices[handle - 100]
        assert device.is_open
        if device.is_lost:
            return 0
        said = device.answer(code)[:n_bytes]
        ctypes.memmove(answer, said, len(said))
        n_answered._obj.value = len(said)
        self.asked.append(code)
        return 1

    def CloseHandle(self, handle: int) -> int:
        assert self.devices[handle - 100].is_open
        self.devices[handle - 100].is_open = False
        return 1


def opened(*devices: Device) -> tuple[EmiMeter, FakeWindows]:
    fake = FakeWindows(list(devices))
    return open_emi_meter(Windows(fake, fake), clock=FakeClock()), fake


def package(joules: float = 1e6, **changes: Any) -> Device:
    """As Windows shows a processor."""
    rest = {"RAPL_Package0_PP0": joules / 2, "RAPL_Package0_PP1": 7.0, "RAPL_Package0_DRAM": joules / 10}
    return Device(channels={"RAPL_Package0_PKG": joules, **rest}, **changes)


def test_package_and_memory_are_counted_and_parts_of_the_package_are_not() -> None:
    device = package(1e6)
    meter, _ = opened(device)
    before_j = meter.read_j()

    device.channels["RAPL_Package0_PKG"] += 20.0
    device.channels["RAPL_Package0_PP0"] += 15.0
    device.channels["RAPL_Package0_DRAM"] += 3.0

    assert meter.name == "EMI counter, RAPL_Package0_PKG and RAPL_Package0_DRAM"
    assert meter.provenance.value == "measured"
    assert meter.read_j() - before_j == pytest.approx(23.0, rel=1e-6)


def test_a_device_that_repeats_the_package_for_another_die_is_counted_once() -> None:
    first, second = package(1e6), package(1e6 + 0.5)  # half a joule later
    meter, _ = opened(first, second)
    before_j = meter.read_j()

    for die in (first, second):
        die.channels["RAPL_Package0_PKG"] += 20.0

    assert meter.read_j() - before_j == pytest.approx(20.0, rel=1e-6)
    assert (first.is_open, second.is_open) == (True, False)


def test_a_second_package_of_its_own_counter_is_counted_too() -> None:
    first = Device(channels={"RAPL_Package0_PKG": 1e6})
    others = [Device(channels={"RAPL_Package0_PKG": 4e5}), Device(channels={"RAPL_Package1_PKG": 1e6})]
    meter, _ = opened(first, *others)
    before_j = meter.read_j()

    for device in (first, *others):
        device.channels = {name: joules + 10.0 for name, joules in device.channels.items()}

    assert meter.read_j() - before_j == pytest.approx(30.0, rel=1e-6)


def test_a_device_of_the_first_version_has_one_channel() -> None:
    meter, _ = opened(Device(channels={"RAPL_Package0_PKG": 5.0}, version=1))

    assert meter.name == "EMI counter, RAPL_Package0_PKG"
    assert meter.read_j() == pytest.approx(5.0, rel=1e-9)


def test_a_device_is_asked_once_for_all_its_channels() -> None:
    meter, fake = opened(package())
    fake.asked.clear()

    meter.read_j()

    assert fake.asked == [GET_MEASUREMENT]


@pytest.mark.parametrize(("answers_at_once", "refresh_s"), [(True, READ_AT_ONCE_S), (False, READ_LATER_S)])
def test_how_old_a_reading_may_be_is_read_from_the_devices_clock(answers_at_once: bool, refresh_s: float) -> None:  # noqa: FBT001
    assert opened(package(answers_at_once=answers_at_once))[0].refresh_s == refresh_s


def test_a_counter_that_begins_anew_spoils_one_reading() -> None:
    device = package(1e6)
    meter, _ = opened(device)
    meter.read_j()
    device.channels = dict.fromkeys(device.channels, 3.0)

    with pytest.raises(CounterResetError, match="began anew"):
        meter.read_j()
    before_j = meter.read_j()
    device.channels["RAPL_Package0_PKG"] += 4.0
    assert meter.read_j() - before_j == pytest.approx(4.0, rel=1e-6)


def test_a_window_over_it_is_measured() -> None:
    device, clock = package(1e6), FakeClock()
    meter, _ = opened(device)

    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(0.05)
        device.channels["RAPL_Package0_PKG"] += 0.75

    assert window.energy_j == pytest.approx(0.75, rel=1e-3)


def test_a_device_that_may_not_be_opened_is_left_alone() -> None:
    meter, _ = opened(package(is_locked=True), package(4e5))

    assert meter.read_j() == pytest.approx(4.4e5)


@pytest.mark.parametrize(
    ("devices", "sentence"),
    [
        ([], "Windows shows no energy counter of a CPU package; its energy meters are: none."),
        (
            [Device(channels={"Apu Power": 1.0, "Battery": 1.0})],
            "Windows shows no energy counter of a CPU package; its energy meters are: Apu Power, Battery.",
        ),
        ([package(unit=1)], "Windows shows no energy counter of a CPU package; its energy meters are: none."),
        ([package(version=3)], "Windows shows no energy counter of a CPU package; its energy meters are: none."),
        (
            [package(metadata=b"\x01" * 70)],
            "Windows' energy meter cannot be read: it answers in another form than Microsoft documents.",
        ),
    ],
)
def test_what_cannot_be_counted_is_one_sentence_and_leaves_nothing_open(devices: list[Device], sentence: str) -> None:
    fake = FakeWindows(devices)

    with pytest.raises(MeterError) as refusal:
        open_emi_meter(Windows(fake, fake), clock=FakeClock())

    assert str(refusal.value) == sentence
    assert not any(device.is_open for device in devices)


def test_a_list_that_windows_does_not_give_is_one_sentence() -> None:
    fake = FakeWindows([], fails=13)

    with pytest.raises(MeterError, match=r"^Windows' energy meter cannot be read: .* says 13\.$"):
        open_emi_meter(Windows(fake, fake))


def test_a_device_that_is_lost_is_one_sentence() -> None:
    device = package()
    meter, _ = opened(device)
    device.is_lost = True

    with pytest.raises(MeterError, match=r"^Windows' energy meter can no longer be read: "):
        meter.read_j()

    meter.close()
    assert not device.is_open


def test_it_is_the_cpus_meter_on_windows_alone() -> None:
    fake = FakeWindows([package()])

    report = detect_meter("cpu", emi=Windows(fake, fake), system="win32")

    assert report.meter is not None
    assert report.meter.name.startswith("EMI counter")
    assert report.refused == ()


def test_other_systems_have_none() -> None:
    with pytest.raises(MeterError, match="this machine runs another system"):
        open_emi_meter()
    with pytest.raises(OSError, match="no Windows"):
        Windows.load()
