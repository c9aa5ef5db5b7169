"""A CPU's pace: learnt within some requests, in spite of others' work, and only where nobody measured or stated it."""

from __future__ import annotations

import inspect
import math
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.calibrated import cost_model_of
from engine.decoding.prefill import prefill
from engine.energy.accounting import Account, account, energy_source
from engine.energy.cost_model import CPU_ACTIVE_POWER_W, by_pace, default_cost_model, phase_energy_j
from engine.energy.detect import MeterReport
from engine.energy.meter import EnergyWindow
from engine.energy.pace import OwnCpuClock, Pace
from engine.engine import Engine
from engine.types import PROJECT_ALONE, CompletionRequest, Phase, Provenance
from tests.engine.energy.fakes import FakeClock, FakeMeter
from tests.engine.energy.test_accounting import BASELINE, WORK
from tests.engine.energy.test_cost_model import ROUND
from tests.engine.training.fakes import tiny_loaded

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTHING = MeterReport(meter=None, refused=())
# Modelled and measured CPU ms of the first requests on an Intel Xeon (engine/LOG.md, "The pace of a CPU").
PLACES = [(72, 379), (23, 60), (234, 596), (218, 519), (135, 319), (111, 242), (25, 64), (181, 408), (86, 199)]
KEYS = [(72, 289), (3, 13), (3, 12), (23, 63), (2, 10), (2, 10), (234, 565), (9, 34), (9, 32), (218, 477), (16, 52)]
SLOW = 2.4  # what those are on the whole


def joules(modelled_ms: float) -> float:
    return 1e-3 * modelled_ms * CPU_ACTIVE_POWER_W


def factors_of(requests: Sequence[tuple[float, float]], pace: Pace | None = None) -> list[float]:
    """The factor after each request."""
    pace, factors = pace or Pace(), []
    for modelled_ms, ms in requests:
        pace.learn({Phase.DECODE: joules(modelled_ms)}, 1e-3 * ms, None)
        factors.append(pace.factor)
    return factors


def test_reading_and_writing_have_a_pace_each_by_which_joules_are_split() -> None:
    pace = Pace()
    work = {Phase.PREFILL: joules(100), Phase.DECODE: joules(30), Phase.VERIFICATION: joules(20)}
    for _ in range(6):
        pace.learn(work, cpu_s=0.300, read_s=0.150)

    assert (pace.factor, pace.reading, pace.writing) == pytest.approx((2.0, 1.5, 3.0))
    assert pace.split(work) == pytest.approx({phase: joules(ms) for phase, ms in zip(work, (150, 90, 60), strict=True)})


def test_what_is_not_known_of_writing_is_that_of_all() -> None:
    pace = Pace()
    for _ in range(6):
        pace.learn({Phase.PREFILL: joules(200)}, cpu_s=0.4, read_s=0.4)

    assert (pace.factor, pace.reading, pace.writing) == pytest.approx((2.0, 2.0, 2.0))


def test_a_prompt_that_was_known_is_no_part_of_reading() -> None:
    """What comes before the first token then, such as taking its text apart, was done to write."""
    pace = Pace()
    for _ in range(6):
        pace.learn({Phase.PREFILL: 0.0, Phase.DECODE: joules(100)}, cpu_s=0.2, read_s=0.02)

    assert (pace.factor, pace.writing) == pytest.approx((2.0, 2.0))


def test_a_request_that_ended_while_it_read_tells_of_reading() -> None:
    pace = Pace()
    for _ in range(6):
        pace.learn({Phase.PREFILL: joules(100), Phase.DECODE: 0.0}, cpu_s=0.2, read_s=None)

    assert (pace.factor, pace.reading) == pytest.approx((2.0, 2.0))


@pytest.mark.parametrize("requests", [PLACES, KEYS])
def test_it_is_known_from_the_third_request_on(requests: list[tuple[float, float]]) -> None:
    factors = factors_of(requests)

    assert factors[2:] == pytest.approx([SLOW] * len(factors[2:]), rel=0.2)


def test_one_odd_request_is_little_against_the_prior() -> None:
    assert factors_of([(10, 100)]) == pytest.approx([200 / 110])


def test_a_request_that_ran_no_layer_says_nothing() -> None:
    pace = Pace()
    factors_of([(200, 400)] * 3, pace)

    assert factors_of([(0, 5000)] * 20, pace) == [2.0] * 20


def test_requests_beside_other_threads_do_not_move_it() -> None:
    quiet, busy = (100, 240), (100, 400)

    assert factors_of([quiet, quiet, busy] * 8)[4:] == pytest.approx([SLOW] * 20)


def test_it_follows_a_clock_that_has_changed() -> None:
    pace = Pace()
    factors_of([(100, 100)] * 40, pace)

    assert factors_of([(100, 180)] * 20, pace)[-1] == pytest.approx(1.8)


@pytest.mark.parametrize("measured_ms", [0, -50])
def test_a_clock_that_stands_still_or_goes_back_says_nothing(measured_ms: float) -> None:
    pace = Pace()
    stuck = (200, measured_ms)

    assert factors_of([stuck] * 20, pace) == [1.0] * 20
    factors_of([(200, 400)] * 9, pace)
    assert factors_of([stuck] * 20, pace) == [2.0] * 20


def test_joules_and_baseline_are_scaled_and_the_share_saved_stays() -> None:
    model, cpu = by_pace(ROUND), FakeClock()
    pace = Pace(cpu)

    def accounted() -> Account:
        with EnergyWindow(None, cpu_clock=cpu) as window:
            cpu.wait(1.0 * 20.0 / CPU_ACTIVE_POWER_W)
            window.split()
            cpu.wait(3.0 * 20.0 / CPU_ACTIVE_POWER_W)
        return account(WORK, cost_model=model, window=window, elapsed_s=0.3, baseline=BASELINE, pace=pace)

    (first, first_baseline_j, _), _, (reading, baseline_j, saved_range_j) = [accounted() for _ in range(3)]

    assert (first.energy_j or 0.0) / (first_baseline_j or 0.0) == pytest.approx(40.0 / 60.0)
    assert (first.energy_j or 0.0) < 80.0  # with the prior
    assert reading.energy_j == pytest.approx(80.0)
    assert baseline_j == pytest.approx(120.0)
    assert reading.by_phase == pytest.approx({Phase.PREFILL: 20.0, Phase.DECODE: 60.0})
    assert reading.range_j == pytest.approx((0.3 * 80.0, 2.5 * 80.0))
    assert saved_range_j == pytest.approx((0.3 * 40.0, 2.5 * 40.0))
    assert reading.provenance is Provenance.MODELLED


def test_its_wording_is_one_and_does_not_change() -> None:
    wording = "CPU seconds at 17.5 W a busy core, 0.3 to 2.5 times as much is possible"
    pace, sources = Pace(), set()
    for factor in (1.0, 2.0, 3.0):
        factors_of([(100, 100 * factor)] * 20, pace)
        found = account(WORK, cost_model=by_pace(ROUND), window=None, elapsed_s=0.3, baseline=BASELINE, pace=pace)
        sources.add(found.reading.source)

    assert sources == {wording}
    assert energy_source(None, by_pace(ROUND)) == f"modelled: {wording}"


def test_calibrations_and_gpus_have_none() -> None:
    pace = Pace()
    factors_of([(100, 300)] * 20, pace)

    for model in (ROUND, replace(ROUND, relative_error=0.1)):
        found = account(WORK, cost_model=model, window=None, elapsed_s=0.3, baseline=BASELINE, pace=pace)
        assert found.reading.energy_j == 40.0


def test_only_shipped_prices_of_a_cpu_without_a_counter_follow_it() -> None:
    loaded = tiny_loaded()
    shipped = default_cost_model(loaded.model.geometry, "cpu", loaded.runtime)

    assert cost_model_of(loaded, NOTHING) == (by_pace(shipped), ())
    assert cost_model_of(loaded, NOTHING, is_paced=False) == (shipped, ())
    assert cost_model_of(loaded, MeterReport(meter=FakeMeter(), refused=())) == (shipped, ())
    assert not cost_model_of(replace(loaded, device="cuda"), NOTHING)[0].is_paced


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("engine.engine.detect_meter", lambda _: NOTHING)
    return Engine(tiny_loaded())


def test_an_engine_learns_from_what_its_requests_take_themselves(tiny: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    monkeypatch.setattr(tiny, "_pace", Pace(clock))
    monkeypatch.setattr("engine.energy.calibration.WINDOW_S", 0.01)
    monkeypatch.setattr("engine.energy.cost_model.LARGEST_FIT_ERROR", math.inf)
    request = CompletionRequest(prefix="a = b")
    told: list[str] = []
    served_at_s: list[float] = []

    def grown(text: str) -> None:
        told.append(text)
        clock.wait(0.1)

    def serve_another() -> None:
        served_at_s.append(clock.now_s)
        clock.wait(50.0)

    def read(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever is read
        rows = prefill(*args, **kwargs)
        clock.wait(0.1)
        return rows

    monkeypatch.setattr("engine.decoding.trajectory.prefill", read)
    completion = tiny.complete(request, on_text=grown, meanwhile=lambda: serve_another)

    # As much as the prior for the prompt and each text, against which what the tiny model computes is nothing.
    expected = 2.0 + len(told)
    assert told
    assert served_at_s
    modelled_j = sum(phase_energy_j(tiny.cost_model, completion.work).values())
    assert completion.energy.energy_j == pytest.approx(expected * modelled_j, rel=1e-2)
    assert tiny._pace.reading == pytest.approx(expected + 1.0, rel=1e-2)

    tiny.complete_from_project(replace(request, policy=PROJECT_ALONE))
    assert tiny._pace.factor == pytest.approx(expected, rel=1e-2)

    made = tiny.calibrate(power_w=20.0)
    again = tiny.complete(request, on_text=grown)
    assert again.energy.energy_j == pytest.approx(sum(phase_energy_j(made.model, again.work).values()))


def test_what_pythons_other_threads_take_is_left_out_where_linux_tells_it() -> None:
    if not Path("/proc/self/schedstat").exists():
        pytest.skip("the system does not tell the time of single threads")
    burn, burnt = threading.Event(), threading.Event()

    def other() -> None:
        burn.wait()
        while time.thread_time() < 0.2:
            pass
        burnt.set()
        end.wait()

    end = threading.Event()
    thread = threading.Thread(target=other)
    thread.start()
    clock = OwnCpuClock()
    begun_s, process_begun_s = clock(), time.process_time()
    burn.set()
    burnt.wait()
    own_s, process_s = clock() - begun_s, time.process_time() - process_begun_s
    end.set()
    thread.join()

    assert process_s >= 0.19
    assert own_s < process_s - 0.15
    assert own_s > -0.02


@pytest.mark.model
def test_joules_are_the_cpu_seconds_that_requests_took_times_the_power(engine: Engine) -> None:
    paced = Engine(engine._loaded)
    if not paced.cost_model.is_paced:
        pytest.skip("this machine counts joules, or is calibrated")
    source = Path(inspect.getfile(Engine)).read_text(encoding="utf-8")
    joules, seconds = 0.0, 0.0
    clock = OwnCpuClock()
    for number, at in enumerate(range(1500, len(source), len(source) // 14)):
        begun_s = clock()
        completion = paced.complete(CompletionRequest(prefix=source[:at], suffix=source[at:]))
        if number >= 2:
            seconds += clock() - begun_s
            joules += completion.energy.energy_j or 0.0
    paced.close()

    assert joules == pytest.approx(seconds * CPU_ACTIVE_POWER_W, rel=0.2)
