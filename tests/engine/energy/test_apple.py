"""Apple's counters behind what stands for the library: its one class, with its fields and its errors."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType

import pytest

from engine.energy.apple import APPLE_REFRESH_S, AppleMeter, open_apple_meter
from engine.energy.detect import detect_meter
from engine.energy.meter import EnergyWindow
from engine.errors import CounterResetError, MeterError
from tests.engine.energy.fakes import FakeClock


@dataclass
class Metrics:
    """As the library gives them: millijoules, None where a chip has no such counter."""

    cpu_total_mj: int | None = 5_000_000
    dram_mj: int | None = 700_000
    gpu_mj: int | None = 900_000
    ane_mj: int | None = 0


class Library(ModuleType):
    def __init__(self, metrics: Metrics | None) -> None:
        super().__init__("zeus_apple_silicon")
        self.metrics = metrics

    def AppleEnergyMonitor(self) -> Library:  # noqa: N802 - the library's own name
        return self

    def get_cumulative_energy(self) -> Metrics:
        if self.metrics is None:
            raise RuntimeError("Failed to create subscription")
        return self.metrics


def opened(metrics: Metrics) -> tuple[AppleMeter, Library]:
    library = Library(metrics)
    return open_apple_meter(library), library


def test_cpu_and_memory_are_counted_and_what_no_model_runs_on_is_not() -> None:
    metrics, clock = Metrics(), FakeClock()
    meter, _ = opened(metrics)

    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(5 * APPLE_REFRESH_S + 0.1)
        metrics.cpu_total_mj, metrics.dram_mj, metrics.gpu_mj = 5_002_000, 700_500, 990_000

    assert meter.name == "IOReport counter, CPU and memory"
    assert window.energy_j == pytest.approx(2.5)
    assert window.provenance.value == "measured"


def test_a_chip_without_a_counter_of_its_memory_is_counted_without() -> None:
    meter, _ = opened(Metrics(dram_mj=None))

    assert (meter.name, meter.read_j()) == ("IOReport counter, CPU", 5000.0)


def test_a_chip_without_a_counter_of_its_cpu_is_refused() -> None:
    with pytest.raises(MeterError, match=r"^This Mac shows no energy counter of its CPU\.$"):
        opened(Metrics(cpu_total_mj=None))


def test_a_counter_that_begins_anew_spoils_one_reading() -> None:
    metrics = Metrics()
    meter, _ = opened(metrics)
    meter.read_j()
    metrics.cpu_total_mj, metrics.dram_mj = 10, 2

    with pytest.raises(CounterResetError):
        meter.read_j()
    assert meter.read_j() == pytest.approx(0.012)


def test_what_the_library_cannot_read_is_one_sentence() -> None:
    meter, library = opened(Metrics())
    library.metrics = None

    with pytest.raises(MeterError, match=r"^The Mac's energy can no longer be read: Failed to create subscription\.$"):
        meter.read_j()
    with pytest.raises(MeterError, match=r"^The Mac's energy cannot be read: Failed to create subscription\.$"):
        open_apple_meter(library)


def test_it_is_the_cpus_meter_on_a_mac_alone() -> None:
    report = detect_meter("cpu", apple=Library(Metrics()), system="darwin")

    assert report.meter is not None
    assert (report.meter.name, report.refused) == ("IOReport counter, CPU and memory", ())


def test_without_the_library_a_mac_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeus_apple_silicon", None)

    report = detect_meter("cpu", system="darwin")

    assert report.meter is None
    assert report.refused[0].endswith("install zeus-apple-silicon.")
