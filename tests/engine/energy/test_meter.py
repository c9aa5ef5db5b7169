from __future__ import annotations

import pytest

from engine.energy.accounting import energy_source
from engine.energy.meter import WINDOW_SAFETY_FACTOR, CompositeMeter, EnergyWindow
from engine.types import Provenance
from tests.engine.energy.fakes import FakeClock, FakeMeter
from tests.engine.energy.test_cost_model import ROUND


def test_window_gives_the_joules_and_seconds_in_between() -> None:
    meter, clock = FakeMeter(counter_j=1000.0), FakeClock()

    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(2.0)
        meter.counter_j = 1042.0

    assert (window.energy_j, window.elapsed_s, window.trusted) == (42.0, 2.0, True)
    assert (window.source, window.provenance, window.refusal) == ("fake counter", Provenance.MEASURED, None)


def test_what_is_done_apart_is_none_of_the_windows() -> None:
    meter, clock = FakeMeter(counter_j=1000.0), FakeClock()

    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(2.0)
        with window.apart():
            clock.wait(5.0)
            meter.counter_j = 1300.0
        clock.wait(1.0)
        meter.counter_j = 1342.0

    assert (window.energy_j, window.elapsed_s) == (42.0, 3.0)


def test_cpu_seconds_are_told_where_there_is_a_clock_for_them() -> None:
    cpu = FakeClock()

    with EnergyWindow(None) as without, EnergyWindow(None, cpu_clock=cpu) as window:
        cpu.wait(2.0)
        with window.apart():
            cpu.wait(5.0)
        cpu.wait(1.0)

    assert window.cpu_s == 3.0
    assert without.cpu_s is None


def test_a_counter_that_is_lost_apart_leaves_nothing_measured() -> None:
    meter, clock = FakeMeter(), FakeClock()

    with EnergyWindow(meter, clock=clock) as window, window.apart():
        meter.counter_j = None

    assert (window.energy_j, window.refusal) == (None, "The fake counter is gone.")


@pytest.mark.parametrize(
    ("periods", "trusted"), [(WINDOW_SAFETY_FACTOR - 0.1, False), (WINDOW_SAFETY_FACTOR + 0.1, True)]
)
def test_window_is_trusted_only_when_it_spans_several_refresh_periods(periods: float, *, trusted: bool) -> None:
    meter, clock = FakeMeter(refresh_s=0.1), FakeClock()

    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(0.1 * periods)
        meter.counter_j = 1001.0

    assert window.trusted is trusted
    assert (window.energy_j is not None) is trusted


def test_window_knows_how_much_of_the_work_was_others() -> None:
    meter, clock = FakeMeter(others=0.75), FakeClock()

    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(2.0)
        meter.counter_j = 1042.0

    assert window.foreign_share == 0.75


def test_nobody_is_asked_of_others_where_the_window_is_not_trusted() -> None:
    meter, clock = FakeMeter(others=0.75), FakeClock()

    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(0.1)

    assert window.foreign_share is None


@pytest.mark.parametrize(
    ("of_gpu", "of_cpu", "share"),
    [(0.0, 0.9, 0.09), (0.5, 0.5, 0.5), (None, 0.9, 0.09), (0.5, None, 0.45), (None, None, None)],
)
def test_others_count_by_the_joules_of_the_part_that_they_were_at_work_on(
    of_gpu: float | None, of_cpu: float | None, share: float | None
) -> None:
    gpu, cpu, clock = FakeMeter(others=of_gpu), FakeMeter(others=of_cpu), FakeClock()

    with EnergyWindow(CompositeMeter({"GPU": gpu, "CPU": cpu}), clock=clock) as window:
        clock.wait(2.0)
        gpu.counter_j, cpu.counter_j = 1090.0, 1010.0

    assert window.foreign_share == (None if share is None else pytest.approx(share))


def test_short_window_says_why_it_is_not_measured() -> None:
    meter, clock = FakeMeter(refresh_s=0.1), FakeClock()

    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(0.25)

    assert window.refusal == "The window of 0.250 s is shorter than the 0.500 s that fake counter needs."
    assert window.provenance is Provenance.NONE


def test_counter_that_stands_still_is_unknown_and_not_zero() -> None:
    clock = FakeClock()

    with EnergyWindow(FakeMeter(), clock=clock) as window:
        clock.wait(2.0)

    assert window.energy_j is None
    assert window.refusal == "fake counter did not advance during 2.000 s."


def test_window_without_a_meter_still_tells_the_time() -> None:
    clock = FakeClock()

    with EnergyWindow(None, clock=clock) as window:
        clock.wait(0.5)

    assert (window.energy_j, window.elapsed_s, window.trusted, window.source) == (None, 0.5, False, None)


@pytest.mark.parametrize("fails_at_start", [True, False])
def test_failing_counter_never_raises_into_the_completion(*, fails_at_start: bool) -> None:
    meter, clock = FakeMeter(counter_j=None if fails_at_start else 1000.0), FakeClock()

    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(2.0)
        meter.counter_j = None

    assert (window.energy_j, window.elapsed_s, window.refusal) == (None, 2.0, "The fake counter is gone.")


def test_counter_that_begins_anew_inside_a_window_leaves_it_unknown() -> None:
    meter, clock = FakeMeter(), FakeClock()

    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(2.0)
        meter.has_begun_anew = True

    assert (window.energy_j, window.provenance) == (None, Provenance.NONE)
    assert window.refusal == "The fake counter began anew."


def test_counter_that_began_anew_before_a_window_spoils_nothing() -> None:
    meter, clock = FakeMeter(counter_j=1000.0, has_begun_anew=True), FakeClock()

    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(2.0)
        meter.counter_j = 1042.0

    assert (window.energy_j, window.refusal) == (42.0, None)


def test_window_lets_the_error_of_its_body_through_and_is_closed() -> None:
    meter, clock = FakeMeter(counter_j=1000.0), FakeClock()
    window = EnergyWindow(meter, clock=clock)

    def fail_halfway() -> None:
        with window:
            clock.wait(2.0)
            meter.counter_j = 1003.0
            raise KeyError

    with pytest.raises(KeyError):
        fail_halfway()
    assert window.energy_j == 3.0


def test_composite_adds_its_parts_and_is_as_slow_as_the_slowest() -> None:
    gpu, cpu = (
        FakeMeter(name="GPU", counter_j=10.0, refresh_s=0.1),
        FakeMeter(name="CPU", counter_j=2.5, refresh_s=0.001),
    )

    both = CompositeMeter({"GPU": gpu, "CPU": cpu})

    assert (both.read_j(), both.refresh_s, both.name) == (12.5, 0.1, "GPU + CPU")
    assert both.provenance is Provenance.MEASURED


def test_composite_of_a_counter_and_samples_is_mixed() -> None:
    sampled = FakeMeter(provenance=Provenance.SAMPLED)

    both = CompositeMeter({"GPU": sampled, "CPU": FakeMeter()})

    assert both.provenance is Provenance.MIXED
    assert energy_source(both, ROUND) == f"measured and sampled: {both.name}"


def test_composite_refuses_one_meter_under_two_names() -> None:
    meter = FakeMeter()

    with pytest.raises(AssertionError, match="one meter stands for two parts"):
        CompositeMeter({"GPU": meter, "CPU": meter})


def test_composite_closes_all_parts() -> None:
    gpu, cpu = FakeMeter(), FakeMeter()

    CompositeMeter({"GPU": gpu, "CPU": cpu}).close()

    assert gpu.closed
    assert cpu.closed
