"""Who else is at work on a GPU, by the real `pynvml` over the compiled stand-in."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from statistics import median
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pynvml
import pytest

from engine.energy import gpu_load
from engine.energy.accounting import account
from engine.energy.detect import detect_meter
from engine.energy.meter import EnergyWindow
from engine.energy.nvml import open_nvml_meter
from tests.engine.energy.nvml_stand_in import POWER_W, Clock, on_linux
from tests.engine.energy.test_rapl import add_zone

if TYPE_CHECKING:
    from pathlib import Path

STRANGER = 4_100_000_000  # above any process' number
SHORTEST_S = 0.5  # that an NVML window may be

pytestmark = on_linux


@pytest.fixture
def clock(nvml: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Seconds of the window, of the GPU, and of the samples' stamps."""
    nvml.stand_in_asked.restype = ctypes.c_ulonglong
    clock = Clock(nvml)
    begun_s = clock.now_s
    monkeypatch.setattr(gpu_load, "time", SimpleNamespace(time=lambda: clock.now_s - begun_s))
    return clock


def window_of(clock: Clock, duration_s: float = 2.0) -> EnergyWindow:
    meter = open_nvml_meter()
    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(duration_s)
    meter.close()
    return window


@pytest.mark.parametrize(("ours", "theirs", "share"), [(60, 0, 0.0), (20, 60, 0.75), (0, 90, 1.0)])
def test_share_of_the_others(nvml: ctypes.CDLL, clock: Clock, ours: int, theirs: int, share: float) -> None:
    nvml.stand_in_process(0, os.getpid(), ours)
    nvml.stand_in_process(0, STRANGER, theirs)

    assert window_of(clock).foreign_share == pytest.approx(share)


def test_a_figure_that_others_are_in_is_marked(nvml: ctypes.CDLL, clock: Clock) -> None:
    nvml.stand_in_process(0, os.getpid(), 20)
    nvml.stand_in_process(0, STRANGER, 60)

    reading, *_ = account({}, cost_model=None, window=window_of(clock), elapsed_s=2.0, baseline={})

    assert reading.source == "NVML counter, GPU 0, idle included, other programs' work included"
    assert reading.range_j == pytest.approx((0.25 * 2.0 * POWER_W, 2.0 * POWER_W))


def test_what_came_of_us_is_ours(nvml: ctypes.CDLL, clock: Clock) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        nvml.stand_in_process(0, os.getpid(), 20)
        nvml.stand_in_process(0, child.pid, 60)
        share = window_of(clock).foreign_share
        child.communicate(b"\n")

    assert share == 0.0


def test_a_card_whose_power_is_sampled_is_watched_too(nvml: ctypes.CDLL, clock: Clock) -> None:
    nvml.stand_in_errors(0, pynvml.NVML_ERROR_NOT_SUPPORTED, 0)
    nvml.stand_in_process(0, os.getpid(), 20)
    nvml.stand_in_process(0, STRANGER, 60)

    meter = open_nvml_meter()
    others = meter.watch()
    clock.wait(2.0)
    meter.close()

    assert others() == pytest.approx(0.75)


def test_the_newest_cards_are_asked_in_the_newer_way(nvml: ctypes.CDLL, clock: Clock) -> None:
    nvml.stand_in_utilization_errors(0, pynvml.NVML_ERROR_NOT_SUPPORTED, 0)
    nvml.stand_in_process(0, os.getpid(), 20)
    nvml.stand_in_process(0, STRANGER, 60)

    assert window_of(clock).foreign_share == pytest.approx(0.75)


def test_a_card_that_does_not_tell_is_asked_once(nvml: ctypes.CDLL, clock: Clock) -> None:
    nvml.stand_in_utilization_errors(0, pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_NOT_SUPPORTED)
    nvml.stand_in_process(0, STRANGER, 60)
    meter = open_nvml_meter()
    for _ in range(5):
        with EnergyWindow(meter, clock=clock) as window:
            clock.wait(2.0)
        assert window.energy_j is not None
        assert window.foreign_share is None
    meter.close()

    assert nvml.stand_in_asked() == 2


def test_a_window_asks_at_its_end_alone_and_only_where_it_is_trusted(nvml: ctypes.CDLL, clock: Clock) -> None:
    nvml.stand_in_process(0, os.getpid(), 60)
    meter = open_nvml_meter()
    with EnergyWindow(meter, clock=clock) as short:
        clock.wait(0.3)
    assert (short.energy_j, nvml.stand_in_asked()) == (None, 0)
    with EnergyWindow(meter, clock=clock):
        clock.wait(2.0)
    meter.close()

    assert nvml.stand_in_asked() == 2  # how many there are, and which


@pytest.mark.parametrize("error", [pynvml.NVML_ERROR_NO_PERMISSION, pynvml.NVML_ERROR_UNKNOWN])
def test_an_error_is_nobody_seen(nvml: ctypes.CDLL, clock: Clock, error: int) -> None:
    nvml.stand_in_utilization_errors(0, error, error)
    nvml.stand_in_process(0, STRANGER, 60)

    window = window_of(clock)

    assert window.energy_j == pytest.approx(2.0 * POWER_W, rel=0.1)
    assert window.foreign_share is None


def test_where_numbers_are_the_hosts_nobody_is_taken_for_a_stranger(nvml: ctypes.CDLL, clock: Clock) -> None:
    nvml.stand_in_process(0, STRANGER, 60)  # us, as the host of our container calls us

    assert window_of(clock).foreign_share is None


@pytest.mark.parametrize("percent", [gpu_load.LEAST_PERCENT - 1, 12_345])
def test_of_little_work_and_of_a_slip_nothing_is_said(nvml: ctypes.CDLL, clock: Clock, percent: int) -> None:
    nvml.stand_in_process(0, os.getpid(), 0)
    nvml.stand_in_process(0, STRANGER, percent)

    assert window_of(clock).foreign_share is None


def test_who_was_at_work_before_the_window_is_not_in_it(nvml: ctypes.CDLL, clock: Clock) -> None:
    nvml.stand_in_process(0, os.getpid(), 20)
    nvml.stand_in_process(0, STRANGER, 60)
    clock.wait(10.0)
    meter = open_nvml_meter()
    others = meter.watch()
    clock.wait(0.01)  # no sample since
    meter.close()

    assert others() is None


def test_the_gpus_others_count_by_its_joules(nvml: ctypes.CDLL, clock: Clock, tmp_path: Path) -> None:
    nvml.stand_in_process(0, os.getpid(), 20)
    nvml.stand_in_process(0, STRANGER, 60)
    add_zone(tmp_path, "intel-rapl:0", "package-0", 0)
    meter = detect_meter("cuda", gpu_uuid="aaaa", powercap=tmp_path).meter
    assert meter is not None
    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(2.0)
        (tmp_path / "intel-rapl:0" / "energy_uj").write_text("1000")  # of the package hardly anything
    meter.close()

    assert window.foreign_share == pytest.approx(0.75, rel=0.01)


def test_a_window_takes_less_than_a_hundredth_of_the_shortest_that_is_trusted(nvml: ctypes.CDLL, clock: Clock) -> None:
    for n in range(3):  # and one that is asked after its parents
        nvml.stand_in_process(0, os.getppid() if n == 1 else STRANGER + n, 10)
    nvml.stand_in_process(0, os.getpid(), 60)
    meter, taken_s = open_nvml_meter(), []
    for _ in range(50):
        begun_s = time.perf_counter()
        with EnergyWindow(meter, clock=clock) as window:
            clock.wait(SHORTEST_S)
        taken_s.append(time.perf_counter() - begun_s)
        assert window.foreign_share is not None
    meter.close()
    assert median(taken_s) < SHORTEST_S / 100
