from __future__ import annotations

from typing import TYPE_CHECKING

import pynvml

from engine.energy.detect import choose_meter, detect_meter
from engine.errors import MeterError
from engine.types import Provenance
from tests.engine.energy.fakes import FakeGpu, FakeMeter, FakeNvml
from tests.engine.energy.test_rapl import add_zone

if TYPE_CHECKING:
    from pathlib import Path

    from engine.energy.detect import MeterReport

NO_RAPL = "This machine shows no energy counter of its CPU: {} has no intel-rapl folder."
NO_PERF = "Linux shows no energy counter of the CPU through perf either."


def name_of(report: MeterReport) -> str | None:
    return report.meter.name if report.meter else None


def test_cpu_is_metered_by_its_package(tmp_path: Path) -> None:
    add_zone(tmp_path, "intel-rapl:0", "package-0", 0)

    report = detect_meter("cpu", powercap=tmp_path)

    assert (name_of(report), report.refused) == ("RAPL counter, package-0", ())


def test_gpu_and_package_are_metered_together(tmp_path: Path) -> None:
    add_zone(tmp_path, "intel-rapl:0", "package-0", 0)

    report = detect_meter("cuda", nvml=FakeNvml(FakeGpu()), gpu_uuid="GPU-0000", powercap=tmp_path, perf=tmp_path)

    assert report.meter is not None
    assert (name_of(report), report.refused) == ("NVML counter, GPU 0 + RAPL counter, package-0", ())
    assert report.meter.provenance is Provenance.MEASURED


def test_gpu_alone_is_metered_where_the_package_may_not_be_read(tmp_path: Path) -> None:
    report = detect_meter("cuda", nvml=FakeNvml(FakeGpu()), gpu_uuid="GPU-0000", powercap=tmp_path, perf=tmp_path)

    assert (name_of(report), report.refused) == ("NVML counter, GPU 0", (NO_RAPL.format(tmp_path), NO_PERF))


def test_package_alone_does_not_pass_for_the_gpu(tmp_path: Path) -> None:
    add_zone(tmp_path, "intel-rapl:0", "package-0", 0)
    nvml = FakeNvml(init_error=pynvml.NVML_ERROR_DRIVER_NOT_LOADED)

    report = detect_meter("cuda", nvml=nvml, gpu_uuid="GPU-0000", powercap=tmp_path, perf=tmp_path)

    assert report.meter is None
    assert report.refused == (
        "The GPU's energy cannot be read: the NVIDIA driver is installed and not loaded.",
        "The CPU's energy counter is not used alone, because the model runs on the GPU.",
    )


def test_machine_without_counters_says_so_for_each(tmp_path: Path) -> None:
    nvml = FakeNvml(init_error=pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    report = detect_meter("cuda", nvml=nvml, gpu_uuid="GPU-0000", powercap=tmp_path, perf=tmp_path)

    assert report.meter is None
    assert report.refused == (
        "The GPU's energy cannot be read: no NVIDIA driver is installed on this machine.",
        NO_RAPL.format(tmp_path),
        NO_PERF,
    )


def missing() -> FakeMeter:
    raise MeterError("The best counter is not there.")


def test_a_part_is_counted_once_by_its_first_meter_that_opens() -> None:
    sources = {"CPU": [missing, lambda: FakeMeter(name="second"), lambda: FakeMeter(name="third")]}

    report = choose_meter(sources, needed=None)

    assert (name_of(report), report.refused) == ("second", ("The best counter is not there.",))


def test_whatever_else_is_counted_does_not_pass_for_the_part_that_is_needed() -> None:
    package, board = FakeMeter(), FakeMeter()

    report = choose_meter({"GPU": [missing], "CPU": [lambda: package], "board": [lambda: board]}, needed="GPU")

    assert report.meter is None
    assert len(report.refused) == 3
    assert package.closed
    assert board.closed


def test_surprise_in_a_driver_is_a_refusal_and_not_a_crash(tmp_path: Path) -> None:
    nvml = FakeNvml(FakeGpu())
    del nvml.state

    report = detect_meter("cuda", nvml=nvml, gpu_uuid="GPU-0000", powercap=tmp_path, perf=tmp_path)

    assert report.refused[0] == "The GPU's energy counter failed unexpectedly (AttributeError)."
