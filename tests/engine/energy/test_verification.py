"""The judge of the modelled saving, before devices whose truth is scripted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from engine.energy.verification import Verification, verify
from engine.types import Phase, Work
from tests.engine.energy.fakes import FakeClock, FakeMeter
from tests.engine.energy.test_cost_model import ROUND

N_LAYERS = ROUND.n_layers


@dataclass
class Machine:
    """A layer takes a second, and joules of its own, whatever the cost model says."""

    layer_j: float = 7.0
    idle_power_w: float = 0.0
    clock: FakeClock = field(default_factory=FakeClock)
    meter: FakeMeter = field(default_factory=lambda: FakeMeter(counter_j=0.0))

    def layers(self, n_layers: int) -> dict[Phase, Work]:
        self.clock.wait(n_layers)
        assert self.meter.counter_j is not None
        self.meter.counter_j += n_layers * (self.layer_j + self.idle_power_w)
        return {Phase.DECODE: Work(layer_passes=n_layers, layer_tokens=n_layers)}


@dataclass
class Place:
    machine: Machine
    exit_layer: int
    overhead: int = 0  # layers that the model does not know of

    def product(self) -> dict[Phase, Work]:
        self.machine.layers(self.overhead)
        return self.machine.layers(self.exit_layer)

    def full(self) -> dict[Phase, Work]:
        return self.machine.layers(N_LAYERS)


def found(machine: Machine, *, overhead: int = 0, meter: FakeMeter | None = None, rounds: int = 2) -> Verification:
    return verify(
        [Place(machine, exit_layer, overhead) for exit_layer in (1, 1, 3)],
        cost_model=replace(ROUND, idle_power_w=machine.idle_power_w),
        meter=meter,
        on_gpu=False,
        rounds=rounds,
        clock=machine.clock,
        cpu_clock=machine.clock,
    )


def test_a_model_that_is_right_is_found_right_by_counter_and_clock() -> None:
    machine = Machine()

    verification = found(machine, meter=machine.meter)

    truth = 1 - (1 + 1 + 3) / (3 * N_LAYERS)
    assert verification.modelled.value == pytest.approx(truth)
    assert verification.by_counter == pytest.approx(truth)
    assert verification.by_cpu.value == pytest.approx(truth)
    assert verification.by_time.value == pytest.approx(truth)
    assert (verification.product_j, verification.full_j) == (2 * 5 * 7.0, 2 * 12 * 7.0)
    assert verification.modelled.low == pytest.approx(1 - 3 / N_LAYERS)
    assert verification.modelled.high == pytest.approx(1 - 1 / N_LAYERS)


def test_what_the_model_does_not_know_shows_in_the_counter() -> None:
    machine = Machine()

    verification = found(machine, overhead=1, meter=machine.meter)

    assert verification.modelled.value == pytest.approx(1 - 5 / 12)
    assert verification.by_counter == pytest.approx(1 - 8 / 12)


def test_idle_power_is_no_part_of_either_way() -> None:
    machine = Machine(idle_power_w=2.0)

    verification = found(machine, meter=machine.meter, rounds=1)

    assert (verification.product_j, verification.full_j) == pytest.approx((5 * 7.0, 12 * 7.0))


def test_the_first_round_is_thrown_away() -> None:
    assert found(Machine(), rounds=1).product[0].elapsed_s == 1.0


def test_without_a_counter_the_clocks_say_it_and_why() -> None:
    verification = found(Machine())

    assert (verification.by_counter, verification.product_j, verification.source) == (None, None, "")
    assert verification.refusal == "There is no energy counter."
    assert verification.by_cpu.value == pytest.approx(1 - 5 / 12)


def test_a_counter_that_stands_still_is_not_believed() -> None:
    verification = found(Machine(), meter=FakeMeter(name="another counter"))

    assert verification.by_counter is None
    assert "another counter did not advance" in verification.refusal
