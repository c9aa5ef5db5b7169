from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from engine.energy.calibration import (
    ROUNDS,
    Workload,
    calibrate,
    calibration_key,
    load_calibration,
    measure_idle_power_w,
    save_calibration,
    workload_grid,
)
from engine.energy.meter import StatedPowerMeter
from engine.energy.power_limits import cpu_power_limit
from engine.errors import ConfigError, MeterError
from tests.engine.energy.fakes import FakeClock, FakeMeter
from tests.engine.energy.test_cost_model import ROUND
from tests.engine.energy.test_fit import DEVICE, PRIOR, request_j, work_of

if TYPE_CHECKING:
    from pathlib import Path

    from engine.energy.cost_model import DeviceCostModel
    from engine.types import Phase, Work

IDLE_POWER_W = 8.0
ACTIVE_POWER_W = 20.0
FACTS: dict[str, Any] = {
    "model": "smollm2-135m",
    "processor": "CPU",
    "threads": 2,
    "precision": "int8",
    "runtime": "native",
}
KEY = calibration_key(**FACTS)


@dataclass
class ReplayedDevice:
    """A device of known cost: work takes joules and time, and rest takes idle power."""

    costs: DeviceCostModel = DEVICE
    clock: FakeClock = field(default_factory=FakeClock)
    meter: FakeMeter = field(default_factory=lambda: FakeMeter(counter_j=0.0))
    noise: float = 0.0  # of a run's joules, one standard deviation
    warming: float = 0.0  # how much dearer work becomes each second
    random: random.Random = field(default_factory=lambda: random.Random(3))

    def run(self, workload: Workload) -> dict[Phase, Work]:
        work = work_of(workload, self.costs.n_layers)
        active_j = request_j(self.costs, work) * self.random.gauss(1.0, self.noise)
        active_j *= 1.0 + self.warming * (self.clock.now_s - FakeClock().now_s)
        self.rest(active_j / ACTIVE_POWER_W)
        self.draw(active_j)
        return work

    def rest(self, duration_s: float) -> None:
        self.clock.wait(duration_s)
        self.draw(IDLE_POWER_W * duration_s)

    def draw(self, joules: float) -> None:
        assert self.meter.counter_j is not None
        self.meter.counter_j += joules


def test_calibration_recovers_the_device_and_its_idle_power() -> None:
    model = calibrated(ReplayedDevice())

    assert model.layer_pass_j == pytest.approx(DEVICE.layer_pass_j, rel=0.03)
    assert model.prefill_token_j == pytest.approx(DEVICE.prefill_token_j, rel=0.03)
    assert model.token_j + model.head_pass_j == pytest.approx(DEVICE.token_j + DEVICE.head_pass_j, rel=0.03)
    assert model.context_pass_j == pytest.approx(DEVICE.context_pass_j, rel=0.15)
    assert model.context_token_j == pytest.approx(DEVICE.context_token_j, rel=0.15)
    assert model.idle_power_w == pytest.approx(IDLE_POWER_W)
    assert model.source == "calibrated with fake counter"
    assert model.relative_error is not None
    assert model.relative_error < 0.02


def test_without_a_counter_it_is_fitted_to_seconds_at_a_stated_power() -> None:
    device = ReplayedDevice()

    model = calibrate(
        device.run,
        meter=StatedPowerMeter(ACTIVE_POWER_W, clock=device.clock),
        prior=PRIOR,
        exit_layers=(3, 15, 24),
        max_positions=8192,
        clock=device.clock,
        wait=device.rest,
    ).model

    assert model.layer_pass_j == pytest.approx(DEVICE.layer_pass_j, rel=0.03)
    assert model.prefill_token_j == pytest.approx(DEVICE.prefill_token_j, rel=0.03)
    assert (model.source, model.idle_power_w) == ("calibrated with seconds at a stated 20 W", None)


@pytest.mark.parametrize("power_w", [0.0, -3.0, float("nan"), float("inf")])
def test_a_power_that_is_none_is_refused(power_w: float) -> None:
    with pytest.raises(ConfigError, match="is a number of watts above 0"):
        StatedPowerMeter(power_w)


def calibrated(device: ReplayedDevice) -> DeviceCostModel:
    return calibrate(
        device.run,
        meter=device.meter,
        prior=PRIOR,
        exit_layers=(3, 15, 24),
        max_positions=8192,
        clock=device.clock,
        wait=device.rest,
    ).model


def held_out(model: DeviceCostModel) -> list[float]:
    """Predicted joules over the device's own, of windows that no calibration sees."""
    workloads = [
        Workload(prompt_tokens=prompt_tokens, new_tokens=24, exit_layer=21, reuses_prompt=reuses_prompt)
        for prompt_tokens, reuses_prompt in product((50, 300, 1000, 4000), (False, True))
    ]
    works = [work_of(workload, PRIOR.n_layers) for workload in workloads]
    return [request_j(model, work) / request_j(DEVICE, work) for work in works]


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_windows_that_were_held_out_are_predicted(noise: float) -> None:
    assert held_out(calibrated(ReplayedDevice(noise=noise))) == pytest.approx([1.0] * 8, rel=0.1)


def test_a_machine_that_grows_warm_makes_no_work_dearer_than_other_work() -> None:
    dearer = held_out(calibrated(ReplayedDevice(warming=0.005)))  # a quarter from the first window to the last

    assert max(dearer) < 1.08 * min(dearer)


def test_calibration_tells_its_progress_to_the_end() -> None:
    device, steps = ReplayedDevice(), list[tuple[int, int | None]]()

    calibrate(
        device.run,
        meter=device.meter,
        prior=PRIOR,
        exit_layers=(15,),
        max_positions=8192,
        progress=lambda _message, done, total: steps.append((done, total)),
        clock=device.clock,
        wait=device.rest,
    )

    n_windows = ROUNDS * len(workload_grid(PRIOR.n_layers, (15,), 8192)) + 1
    assert steps == [(done, n_windows) for done in range(n_windows + 1)]


def test_grid_spans_the_depths_of_the_model() -> None:
    assert {workload.exit_layer for workload in workload_grid(30, (3, 6, 15, 21, 24), 8192)} == {3, 15, 30}


def test_grid_of_a_model_without_exits_is_full_depth() -> None:
    assert {workload.exit_layer for workload in workload_grid(30, (), 8192)} == {30}


def test_a_model_of_few_positions_is_asked_for_no_more() -> None:
    longest = max(workload.prompt_tokens + workload.new_tokens for workload in workload_grid(12, (3,), 1024))

    assert longest == 1024
    assert {workload.prompt_tokens for workload in workload_grid(12, (3,), 224)} == {64, 192}


def test_a_calibration_of_an_earlier_release_is_completed_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    save_calibration(path, KEY, replace(ROUND, layer_pass_j=2 * PRIOR.layer_pass_j))
    content = json.loads(path.read_text())
    for name in ("context_pass_j", "context_token_j", "unfitted"):
        del content["models"][KEY][name]
    path.write_text(json.dumps(content))

    model = load_calibration(path, KEY, prior=PRIOR)

    assert model is not None
    assert model.unfitted == ("context_pass_j", "context_token_j")
    assert model.context_pass_j == pytest.approx(2 * PRIOR.context_pass_j)
    assert model.context_token_j == pytest.approx(2 * PRIOR.context_token_j)


def test_calibration_without_a_counter_is_one_sentence() -> None:
    device = ReplayedDevice()

    with pytest.raises(MeterError, match=r"^There is nothing to calibrate with: no energy counter"):
        calibrate(device.run, meter=None, prior=PRIOR, exit_layers=(), max_positions=8192)
    with pytest.raises(MeterError, match=r"with all its cores this CPU is built for 105 W \(CodeCarbon, MIT\)\.$"):
        calibrate(
            device.run,
            meter=None,
            prior=PRIOR,
            exit_layers=(),
            max_positions=8192,
            limit=cpu_power_limit("AMD Ryzen 7 5800X"),
        )


def test_counter_that_stands_still_cannot_calibrate() -> None:
    device = ReplayedDevice()

    with pytest.raises(MeterError, match="The calibration failed: another counter did not advance"):
        calibrate(
            device.run,
            meter=FakeMeter(name="another counter"),
            prior=PRIOR,
            exit_layers=(),
            max_positions=8192,
            clock=device.clock,
            wait=device.rest,
        )


def test_machine_busier_at_rest_than_at_work_is_refused() -> None:
    device = ReplayedDevice()

    def busy_rest(duration_s: float) -> None:
        device.clock.wait(duration_s)
        device.draw(500.0 * duration_s)

    with pytest.raises(MeterError, match="calibrate again while it is quiet"):
        calibrate(
            device.run,
            meter=device.meter,
            prior=PRIOR,
            exit_layers=(),
            max_positions=8192,
            clock=device.clock,
            wait=busy_rest,
        )


def test_idle_power_of_a_counter_that_stands_still_is_unknown() -> None:
    clock = FakeClock()

    assert measure_idle_power_w(FakeMeter(), clock=clock, wait=clock.wait) is None


def test_calibration_is_found_again_by_its_key(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "calibration.json"
    other = replace(ROUND, relative_error=0.04, idle_power_w=7.5)

    save_calibration(path, KEY, ROUND)
    save_calibration(path, "another device", other)

    assert load_calibration(path, KEY, prior=PRIOR) == ROUND
    assert load_calibration(path, "another device", prior=PRIOR) == other
    assert [file.name for file in path.parent.iterdir()] == ["calibration.json"]


@pytest.mark.parametrize(
    "changed", [{"model": "mine"}, {"processor": "H100"}, {"threads": None}, {"precision": "int4"}, {"runtime": "onnx"}]
)
def test_a_calibration_holds_for_its_own_model_device_precision_and_runtime(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    save_calibration(tmp_path / "calibration.json", KEY, ROUND)

    assert load_calibration(tmp_path / "calibration.json", calibration_key(**FACTS | changed), prior=PRIOR) is None


def test_device_that_was_never_calibrated_has_none(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    assert load_calibration(path, KEY, prior=PRIOR) is None

    save_calibration(path, "another device", ROUND)

    assert load_calibration(path, KEY, prior=PRIOR) is None


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"version": 99, "models": {}}',
        json.dumps({"version": 1, "models": {KEY: {"layer_pass_j": 1.0}}}),
        json.dumps({"version": 1, "models": {KEY: 3}}),
        b"\xff\xfe\x00",
    ],
)
def test_damaged_file_is_one_sentence(content: str | bytes, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(MeterError) as refusal:
        load_calibration(path, KEY, prior=PRIOR)

    assert str(refusal.value) == f"The calibration {path} is damaged; run `green-code calibrate` to write it anew."


@pytest.mark.parametrize("joules", [-1.0, float("nan")])
def test_impossible_joules_in_the_file_are_damage(joules: float, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    save_calibration(path, KEY, ROUND)
    content = json.loads(path.read_text())
    content["models"][KEY]["layer_pass_j"] = joules
    path.write_text(json.dumps(content))

    with pytest.raises(MeterError, match="is damaged"):
        load_calibration(path, KEY, prior=PRIOR)


def test_damaged_file_is_replaced_by_a_new_calibration(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text("{")

    save_calibration(path, KEY, ROUND)

    assert load_calibration(path, KEY, prior=PRIOR) == ROUND


def test_calibration_that_cannot_be_kept_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(MeterError, match=r"^The calibration cannot be kept in .*: "):
        save_calibration(tmp_path / "file" / "calibration.json", KEY, ROUND)
