"""perf's energy counters in a folder that looks like the kernel's; pipes stand in for what the system call opens."""

import errno
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.energy.detect import detect_meter
from engine.energy.perf import open_perf_meter, perf_event_open
from engine.errors import MeterError
from engine.types import Provenance
from tests.engine.energy.test_rapl import add_zone

SCALE = 2.3283064365386962890625e-10  # as on real machines: a step is 2^-32 J


def add_device(root: Path, *events: str, cpus: str = "0") -> None:
    folder = root / "power" / "events"
    folder.mkdir(parents=True)
    (root / "power" / "type").write_text("21\n")
    (root / "power" / "cpumask").write_text(f"{cpus}\n")
    for number, event in enumerate(events):
        (folder / event).write_text(f"event=0x{number + 2:02x}\n")
        (folder / f"{event}.scale").write_text(f"{SCALE!r}\n")


class Counters:
    """Counts by device, event and CPU that a test sets in joules, a reading at a time."""

    def __init__(self) -> None:
        self.pipes: dict[tuple[int, int, int], int] = {}

    def open(self, kind: int, config: int, cpu: int) -> int:
        reader, self.pipes[kind, config, cpu] = os.pipe()
        return reader

    def show(self, *joules: float) -> None:
        for pipe, energy_j in zip(self.pipes.values(), joules, strict=True):
            os.write(pipe, struct.pack("<Q", round(energy_j / SCALE)))


def test_packages_and_their_memory_are_added_up_and_nothing_twice(tmp_path: Path) -> None:
    add_device(tmp_path, "energy-pkg", "energy-ram", "energy-cores", "energy-psys", cpus="0,18-19")
    counters = Counters()
    meter = open_perf_meter(tmp_path, open_event=counters.open)

    counters.show(1.0, 2.0, 3.0, 0.5, 0.25, 0.125)
    first_j = meter.read_j()
    counters.show(11.0, 2.0, 3.0, 0.5, 0.25, 0.125)
    second_j = meter.read_j()
    meter.close()

    assert list(counters.pipes) == [(21, event, cpu) for event in (2, 3) for cpu in (0, 18, 19)]
    assert (first_j, second_j) == pytest.approx((6.875, 16.875))
    assert (meter.name, meter.provenance) == ("RAPL counter by perf, package and dram", Provenance.MEASURED)


def test_a_counter_that_is_gone_fails_in_one_sentence(tmp_path: Path) -> None:
    add_device(tmp_path, "energy-pkg")
    counters = Counters()
    meter = open_perf_meter(tmp_path, open_event=counters.open)
    for pipe in counters.pipes.values():
        os.close(pipe)

    with pytest.raises(MeterError, match="can no longer be read through perf"):
        meter.read_j()
    meter.close()


def refused_with(number: int) -> Callable[[int, int, int], int]:
    def refuse(kind: int, config: int, cpu: int) -> int:
        raise OSError(number, os.strerror(number))

    return refuse


def test_who_may_not_read_is_told_what_would_allow_it_and_what_that_opens(tmp_path: Path) -> None:
    add_device(tmp_path, "energy-pkg")

    with pytest.raises(MeterError, match=r"run: sudo setcap cap_perfmon\+ep /.* may then watch all programs"):
        open_perf_meter(tmp_path, open_event=refused_with(errno.EACCES))
    with pytest.raises(MeterError, match="cannot be read through perf: No such device"):
        open_perf_meter(tmp_path, open_event=refused_with(errno.ENODEV))


@pytest.mark.parametrize(("file", "text"), [("type", "x"), ("cpumask", ""), ("events/energy-pkg", "umask=1")])
def test_other_files_than_the_kernels_are_one_sentence(tmp_path: Path, file: str, text: str) -> None:
    add_device(tmp_path, "energy-pkg")
    (tmp_path / "power" / file).write_text(text)

    with pytest.raises(MeterError, match="its files hold something else"):
        open_perf_meter(tmp_path, open_event=Counters().open)


def test_a_machine_without_them_and_one_with_parts_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match="no energy counter of the CPU through perf"):
        open_perf_meter(tmp_path)
    add_device(tmp_path, "energy-cores")
    with pytest.raises(MeterError, match="there is none of a CPU package"):
        open_perf_meter(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="a system call of Linux")
def test_the_kernel_understands_the_call() -> None:
    """A device that is not there is refused for that, and not for how the question is put."""
    with pytest.raises(OSError, match=r".") as refusal:
        perf_event_open(0x7FFFFFFF, 0, 0)

    assert refusal.value.errno in {errno.ENOENT, errno.ENODEV, errno.EACCES, errno.EPERM, errno.ENOSYS}


def test_files_that_anybody_may_read_come_first(tmp_path: Path) -> None:
    add_zone(tmp_path, "intel-rapl:0", "package-0", 0)
    add_device(tmp_path, "energy-pkg")

    meter = detect_meter("cpu", powercap=tmp_path, perf=tmp_path).meter

    assert meter is not None
    assert meter.name == "RAPL counter, package-0"
