from __future__ import annotations

from dataclasses import replace

import pytest

from engine.energy.accounting import account, energy_source
from engine.energy.meter import EnergyWindow
from engine.types import EnergyReading, Phase, Provenance, Work
from tests.engine.energy.fakes import FakeClock, FakeMeter
from tests.engine.energy.test_cost_model import ROUND

WORK = {Phase.PREFILL: Work(prefill_tokens=5), Phase.DECODE: Work(layer_passes=2, layer_tokens=2)}  # 20 J + 20 J
BASELINE = {Phase.PREFILL: Work(prefill_tokens=5), Phase.DECODE: Work(layer_passes=4, layer_tokens=4)}  # 20 J + 40 J


def window_of(energy_j: float, elapsed_s: float, provenance: Provenance = Provenance.MEASURED) -> EnergyWindow:
    meter, clock = FakeMeter(counter_j=0.0, provenance=provenance), FakeClock()
    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(elapsed_s)
        meter.counter_j = energy_j
    return window


@pytest.mark.parametrize("provenance", [Provenance.MEASURED, Provenance.SAMPLED])
def test_trusted_window_gives_the_total_and_the_model_its_split(provenance: Provenance) -> None:
    reading, baseline_j, _ = account(
        WORK, cost_model=ROUND, window=window_of(80.0, 2.0, provenance), elapsed_s=2.0, baseline=BASELINE
    )

    assert (reading.energy_j, reading.provenance) == (80.0, provenance)
    assert reading.source == "fake counter, idle included"
    assert reading.by_phase == {Phase.PREFILL: pytest.approx(40.0), Phase.DECODE: pytest.approx(40.0)}
    assert baseline_j == pytest.approx(80.0 * 60.0 / 40.0)


def test_idle_power_is_subtracted_where_it_is_known() -> None:
    reading, *_ = account(
        WORK,
        cost_model=replace(ROUND, idle_power_w=15.0),
        window=window_of(80.0, 2.0),
        elapsed_s=2.0,
        baseline=BASELINE,
    )

    assert (reading.energy_j, reading.source) == (50.0, "fake counter, 15.0 W idle subtracted")


def test_window_below_the_idle_power_is_not_believed() -> None:
    reading, *_ = account(
        WORK,
        cost_model=replace(ROUND, idle_power_w=50.0),
        window=window_of(80.0, 2.0),
        elapsed_s=2.0,
        baseline=BASELINE,
    )

    assert (reading.energy_j, reading.provenance) == (40.0, Provenance.MODELLED)


@pytest.mark.parametrize("window", [None, window_of(80.0, 0.01)], ids=["no meter", "short window"])
def test_without_a_trusted_window_the_joules_are_modelled(window: EnergyWindow | None) -> None:
    reading, baseline_j, _ = account(WORK, cost_model=ROUND, window=window, elapsed_s=0.3, baseline=BASELINE)

    assert reading == EnergyReading(
        energy_j=40.0,
        provenance=Provenance.MODELLED,
        source="round numbers, 0.2 to 3 times as much is possible",
        elapsed_s=0.3,
        by_phase={Phase.PREFILL: 20.0, Phase.DECODE: 20.0},
        range_j=(8.0, 120.0),
    )
    assert baseline_j == 60.0


def test_a_calibrated_model_may_be_off_by_twice_its_mean_error() -> None:
    reading, *_ = account(
        WORK, cost_model=replace(ROUND, relative_error=0.1), window=None, elapsed_s=0.3, baseline=BASELINE
    )

    assert reading.range_j == pytest.approx((32.0, 48.0))
    assert reading.source == "round numbers, 0.8 to 1.2 times as much is possible"


def test_measured_joules_have_no_range() -> None:
    measured, *_ = account(WORK, cost_model=ROUND, window=window_of(80.0, 2.0), elapsed_s=2.0, baseline=BASELINE)

    assert measured.range_j is None


def test_other_programs_work_in_a_counter_is_marked_and_widens_the_range_downwards() -> None:
    window = window_of(80.0, 2.0)
    window.foreign_share = 0.75
    reading, *_ = account(WORK, cost_model=ROUND, window=window, elapsed_s=2.0, baseline=BASELINE)

    assert (reading.energy_j, reading.provenance, reading.range_j) == (80.0, Provenance.MEASURED, (20.0, 80.0))
    assert reading.source == "fake counter, idle included, other programs' work included"

    window.foreign_share = 0.1
    reading, *_ = account(WORK, cost_model=ROUND, window=window, elapsed_s=2.0, baseline=BASELINE)
    assert (reading.range_j, reading.source) == (None, "fake counter, idle included")


def saved(window: EnergyWindow | None = None, relative_error: float | None = None) -> object:
    """Between which joules the saving lies: of 40 J against 60 J as modelled, or 80 J against 120 J by a counter."""
    model = replace(ROUND, relative_error=relative_error)
    return account(WORK, cost_model=model, window=window, elapsed_s=2.0, baseline=BASELINE).saved_range_j


def test_a_modelled_saving_is_off_by_the_same_factor_as_what_it_is_the_difference_of() -> None:
    assert saved() == pytest.approx((0.2 * 20.0, 3.0 * 20.0))
    assert saved(relative_error=0.1) == pytest.approx((0.8 * 20.0, 1.2 * 20.0))


@pytest.mark.parametrize("provenance", [Provenance.MEASURED, Provenance.SAMPLED])
def test_behind_a_counter_the_modelled_baseline_alone_moves_the_saving(provenance: Provenance) -> None:
    window = window_of(80.0, 2.0, provenance)

    assert saved(window, relative_error=0.05) == pytest.approx((0.9 * 120.0 - 80.0, 1.1 * 120.0 - 80.0))
    assert saved(window, relative_error=0.2) == pytest.approx((0.6 * 120.0 - 80.0, 1.4 * 120.0 - 80.0))  # -8 J at least


def test_other_programs_work_in_a_counter_is_in_cost_and_baseline_alike() -> None:
    window = window_of(80.0, 2.0)
    window.foreign_share = 0.75

    assert saved(window, relative_error=0.0) == pytest.approx((0.25 * 40.0, 40.0))
    assert saved(window, relative_error=0.05) == pytest.approx((0.25 * 28.0, 52.0))


def test_what_took_more_than_its_baseline_has_a_range_as_well() -> None:
    found = account(BASELINE, cost_model=ROUND, window=None, elapsed_s=2.0, baseline=WORK)

    assert found.saved_range_j == pytest.approx((3.0 * -20.0, 0.2 * -20.0))


def test_where_joules_come_from_is_said_in_the_same_words_everywhere() -> None:
    modelled, *_ = account(WORK, cost_model=ROUND, window=None, elapsed_s=2.0, baseline=BASELINE)

    assert energy_source(None, ROUND) == f"modelled: {modelled.source}"


def test_without_a_window_and_a_model_nothing_is_known() -> None:
    reading, *unknown = account(WORK, cost_model=None, window=None, elapsed_s=0.3, baseline=BASELINE)

    assert (reading.energy_j, reading.provenance, *unknown) == (None, Provenance.NONE, None, None)


def test_measured_joules_without_a_model_have_no_split_and_no_baseline() -> None:
    reading, *unknown = account(WORK, cost_model=None, window=window_of(80.0, 2.0), elapsed_s=2.0, baseline=BASELINE)

    assert (reading.energy_j, dict(reading.by_phase), *unknown) == (80.0, {}, None, None)


def test_request_cancelled_before_any_work_costs_nothing() -> None:
    reading, baseline_j, _ = account({}, cost_model=ROUND, window=None, elapsed_s=0.0, baseline={})

    assert (reading.energy_j, reading.provenance, baseline_j) == (0.0, Provenance.MODELLED, 0.0)
