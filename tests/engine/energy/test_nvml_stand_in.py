"""The real `pynvml` over a compiled stand-in for NVIDIA's library, against scripted truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pynvml
import pytest

from engine.energy.detect import detect_meter
from engine.energy.meter import EnergyWindow
from engine.energy.nvml import open_nvml_meter
from engine.errors import CounterResetError, MeterError
from engine.types import Provenance
from tests.engine.energy.fakes import FakeClock
from tests.engine.energy.nvml_stand_in import POWER_W, Clock, on_linux, script
from tests.engine.energy.test_rapl import add_zone

if TYPE_CHECKING:
    import ctypes
    from pathlib import Path

pytestmark = on_linux


def test_a_window_of_many_refreshes_is_right_to_a_percent(nvml: ctypes.CDLL) -> None:
    meter, clock = open_nvml_meter(), Clock(nvml)
    clock.wait(0.037)  # the window begins between two updates
    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(20.0)
    meter.close()

    assert window.energy_j == pytest.approx(20.0 * POWER_W, rel=0.01)
    assert window.provenance is Provenance.MEASURED
    assert window.source == "NVML counter, GPU 0"


def test_the_sum_of_windows_is_the_counters_own(nvml: ctypes.CDLL) -> None:
    meter, clock = open_nvml_meter(), Clock(nvml)
    before_j, total_j = meter.read_j(), 0.0
    for n in range(40):
        with EnergyWindow(meter, clock=clock) as window:
            clock.wait(0.5 + 0.013 * n)
        assert window.energy_j is not None
        assert window.energy_j == pytest.approx(window.elapsed_s * POWER_W, rel=0.2)  # the least that is trusted
        total_j += window.energy_j
    span_j = meter.read_j() - before_j
    meter.close()

    assert total_j == pytest.approx(span_j, rel=1e-9)
    assert span_j == pytest.approx((clock.now_s - FakeClock().now_s) * POWER_W, rel=0.01)


def test_a_window_shorter_than_the_refresh_is_not_believed(nvml: ctypes.CDLL) -> None:
    meter, clock = open_nvml_meter(), Clock(nvml)
    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(0.3)
    meter.close()

    assert window.energy_j is None
    assert "shorter than the 0.500 s" in str(window.refusal)


def test_a_counter_that_begins_anew_spoils_one_window(nvml: ctypes.CDLL) -> None:
    meter, clock = open_nvml_meter(), Clock(nvml)
    clock.wait(100.0)
    with EnergyWindow(meter, clock=clock) as spoiled:
        clock.wait(1.0)
        nvml.stand_in_reset(0)
        clock.wait(1.0)
    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(10.0)
    nvml.stand_in_reset(0)
    with pytest.raises(CounterResetError, match="began anew"):
        meter.read_j()
    meter.close()

    assert (spoiled.energy_j, spoiled.refusal) == (None, "The GPU's energy counter began anew.")
    assert window.energy_j == pytest.approx(10.0 * POWER_W, rel=0.02)


def test_a_reset_between_windows_spoils_none(nvml: ctypes.CDLL) -> None:
    meter, clock = open_nvml_meter(), Clock(nvml)
    clock.wait(100.0)
    meter.read_j()
    nvml.stand_in_reset(0)
    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(10.0)
    meter.close()

    assert window.energy_j == pytest.approx(10.0 * POWER_W, rel=0.02)


def test_a_gpu_that_is_lost_ends_the_window(nvml: ctypes.CDLL) -> None:
    meter, clock = open_nvml_meter(), Clock(nvml)
    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(1.0)
        nvml.stand_in_errors(0, pynvml.NVML_ERROR_GPU_IS_LOST, 0)
    meter.close()

    assert window.energy_j is None
    assert window.refusal == "The GPU's energy cannot be read: the GPU has dropped off the bus; restart the machine."


def test_a_card_without_a_counter_is_sampled(nvml: ctypes.CDLL) -> None:
    nvml.stand_in_errors(0, pynvml.NVML_ERROR_NOT_SUPPORTED, 0)

    meter = open_nvml_meter()

    assert (meter.name, meter.provenance) == ("NVML power, GPU 0", Provenance.SAMPLED)
    meter.read_j()
    meter.close()


def test_a_card_that_tells_nothing_is_refused(nvml: ctypes.CDLL) -> None:
    nvml.stand_in_errors(0, pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_NOT_SUPPORTED)

    with pytest.raises(MeterError, match="this card tells neither its energy nor its power"):
        open_nvml_meter()


def test_of_two_gpus_the_one_in_use_is_read(nvml: ctypes.CDLL) -> None:
    nvml.stand_in_begin(2, 0)
    script(nvml, 0, 100.0)
    script(nvml, 1, 300.0)
    with pytest.raises(MeterError, match="NVML sees 2 GPUs"):
        open_nvml_meter()
    meter, clock = open_nvml_meter(gpu_uuid="bbbb"), Clock(nvml)
    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(10.0)
    meter.close()

    assert meter.name == "NVML counter, GPU 1"
    assert window.energy_j == pytest.approx(3000.0, rel=0.01)


def test_a_gpu_that_is_cut_up_is_counted_whole_and_says_so(nvml: ctypes.CDLL) -> None:
    nvml.stand_in_cut(0)

    meter = open_nvml_meter()
    meter.close()

    assert meter.name == "NVML counter, GPU 0 with all its MIG instances"


def test_a_driver_that_is_not_loaded_is_one_sentence(nvml: ctypes.CDLL) -> None:
    nvml.stand_in_begin(1, pynvml.NVML_ERROR_DRIVER_NOT_LOADED)

    with pytest.raises(MeterError, match="the NVIDIA driver is installed and not loaded"):
        open_nvml_meter()


def test_gpu_and_package_are_found_together(nvml: ctypes.CDLL, tmp_path: Path) -> None:
    add_zone(tmp_path, "intel-rapl:0", "package-0", 0)

    report = detect_meter("cuda", gpu_uuid="aaaa", powercap=tmp_path)

    assert report.meter is not None
    assert report.meter.name == "NVML counter, GPU 0 + RAPL counter, package-0"
    report.meter.close()
