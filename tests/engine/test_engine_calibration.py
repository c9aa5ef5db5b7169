"""A calibration is found by facts about model and device, whatever they are called before people."""

import math
from dataclasses import replace
from typing import Any

import pytest

from engine.calibrated import calibration_key_of
from engine.config import data_dir
from engine.energy.calibration import CALIBRATION_FILE, save_calibration
from engine.engine import Engine
from engine.model.loaded import LoadedModel
from tests.engine.energy.test_cost_model import ROUND
from tests.engine.training.fakes import tiny_loaded

pytestmark = pytest.mark.usefixtures("own_data")


def cost_source(loaded: LoadedModel) -> str:
    engine = Engine(loaded)
    engine.close()
    return engine.cost_model.source


def test_a_calibration_is_used_where_it_was_made_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = tiny_loaded()
    save_calibration(data_dir() / CALIBRATION_FILE, calibration_key_of(loaded), replace(ROUND, source="made here"))
    monkeypatch.setattr(LoadedModel, "device_name", property(lambda self: "described in other words"))

    assert cost_source(loaded) == "made here"
    assert cost_source(replace(loaded, precision="int8")) != "made here"
    assert cost_source(replace(loaded, threads=2)) != "made here"
    assert cost_source(replace(loaded, runtime="onnx")) != "made here"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({}, "tiny | CPU, 1 thread, fp32, PyTorch | 4 bytes"),
        ({"threads": 2, "runtime": "native-avx2"}, "tiny | CPU, 2 threads, fp32, native kernels for AVX2 | 4 bytes"),
        ({"threads": None, "processor": "NVIDIA H100", "precision": "bf16"}, "tiny | NVIDIA H100, bf16 | 4 bytes"),
    ],
)
def test_a_calibration_that_an_earlier_release_made_is_still_used(changes: dict[str, Any], key: str) -> None:
    loaded = replace(tiny_loaded(), **changes)
    save_calibration(data_dir() / CALIBRATION_FILE, key, replace(ROUND, source="made then"))

    assert cost_source(loaded) == "made then"

    save_calibration(data_dir() / CALIBRATION_FILE, calibration_key_of(loaded), replace(ROUND, source="made now"))
    assert cost_source(loaded) == "made now"


def notes_of(loaded: LoadedModel) -> list[str]:
    engine = Engine(loaded)
    engine.close()
    return [reason for reason in engine.meters_refused if "calibration" in reason]


def test_a_calibration_says_when_what_it_was_made_with_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = tiny_loaded()
    monkeypatch.setattr("engine.energy.calibration.WINDOW_S", 0.01)
    monkeypatch.setattr("engine.energy.cost_model.LARGEST_FIT_ERROR", math.inf)
    engine = Engine(loaded)
    made = engine.calibrate(power_w=20.0)
    engine.close()

    assert engine.cost_model == made.model
    assert {window.workload.prompt_tokens for window in made.windows} >= {64, 192}
    assert notes_of(loaded) == []

    monkeypatch.setattr("engine.calibrated._cpu_name", lambda: "another CPU")
    assert notes_of(loaded) == [
        "The calibration was made with another processor; run `green-code calibrate` to measure anew."
    ]
    monkeypatch.setattr("importlib.metadata.version", lambda package: "0.1")
    [note] = notes_of(loaded)
    assert "with another processor and another kernel library;" in note
    assert cost_source(loaded) == made.model.source


def test_a_poor_fit_that_an_earlier_release_kept_is_not_used() -> None:
    loaded = tiny_loaded()
    shipped = cost_source(loaded)
    poor = replace(ROUND, source="made beside other work", relative_error=0.3)
    save_calibration(data_dir() / CALIBRATION_FILE, calibration_key_of(loaded), poor)

    assert cost_source(loaded) == shipped
    [note] = notes_of(loaded)
    assert note.endswith("so it is not used; run `green-code calibrate` while nothing else runs.")


@pytest.mark.parametrize("kept", [False, True])
def test_a_poor_fit_leaves_things_as_they_were(monkeypatch: pytest.MonkeyPatch, *, kept: bool) -> None:
    monkeypatch.setattr("engine.energy.calibration.WINDOW_S", 0.01)
    monkeypatch.setattr("engine.energy.cost_model.LARGEST_FIT_ERROR", 0.0)
    loaded = tiny_loaded()
    path = data_dir() / CALIBRATION_FILE
    if kept:
        save_calibration(path, calibration_key_of(loaded), replace(ROUND, source="made on a quiet day"))
    engine = Engine(loaded)
    before = engine.cost_model
    made = engine.calibrate(power_w=20.0)
    engine.close()

    assert "a stated 20 W" in made.model.source
    assert engine.cost_model == before
    assert (cost_source(loaded) == "made on a quiet day") is path.exists() is kept


@pytest.mark.parametrize(("error", "is_good"), [(None, False), (0.02, True), (0.1, True), (0.11, False)])
def test_a_fit_is_good_within_a_tenth(*, error: float | None, is_good: bool) -> None:
    assert replace(ROUND, relative_error=error).is_good_fit is is_good
