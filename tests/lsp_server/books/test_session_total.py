"""A session's figures against the scripted truth of a device: what its counter counts, and what work costs there."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine.energy.accounting import account
from engine.energy.calibration import Workload, calibrate
from engine.energy.cost_model import baseline_work, phase_energy_j
from engine.energy.load import watch_nobody
from engine.energy.meter import EnergyWindow
from engine.types import Phase, Provenance, Work
from lsp_server.books.session import Session
from lsp_server.books.today import SpentToday
from tests.engine.energy.fakes import FakeClock
from tests.engine.energy.test_fit import DEVICE, PRIOR, request_j, work_of
from tests.fakes import fake_completion

if TYPE_CHECKING:
    from lsp_server.protocol import SessionEnergy

ACTIVE_W, IDLE_W = 20.0, 8.0


@dataclass
class CountedDevice:
    """A device whose counter is updated in steps, and is its own meter."""

    refresh_s: float
    name: str = "scripted counter"
    provenance: Provenance = Provenance.MEASURED
    noise: float = 0.0  # of a run's joules, one standard deviation
    clock: FakeClock = field(default_factory=FakeClock)
    chance: random.Random = field(default_factory=lambda: random.Random(5))
    active_j: float = 0.0

    def __post_init__(self) -> None:
        self._times_s, self._totals_j = [self.clock.now_s], [0.0]

    def run(self, workload: Workload) -> dict[Phase, Work]:
        work = work_of(workload, DEVICE.n_layers)
        spent_j = request_j(DEVICE, work) * self.chance.gauss(1.0, self.noise)
        self.active_j += spent_j
        self._pass(spent_j / ACTIVE_W, spent_j)
        return work

    def rest(self, duration_s: float) -> None:
        self._pass(duration_s, 0.0)

    def read_j(self) -> float:
        updated_s = self.clock.now_s - self.clock.now_s % self.refresh_s if self.refresh_s else self.clock.now_s
        return float(np.interp(updated_s, self._times_s, self._totals_j))

    watch = staticmethod(watch_nobody)

    def close(self) -> None:
        """There is nothing to close."""

    def _pass(self, duration_s: float, active_j: float) -> None:
        self.clock.wait(duration_s)
        self._times_s.append(self.clock.now_s)
        self._totals_j.append(self._totals_j[-1] + IDLE_W * duration_s + active_j)


def typed(device: CountedDevice, n_requests: int) -> tuple[SessionEnergy, float, set[Provenance]]:
    """A session of requests on a calibrated device; its sums, the true baseline's joules, and how joules were had."""
    model = calibrate(
        device.run,
        meter=device,
        prior=PRIOR,
        exit_layers=(3, 15, 24),
        max_positions=8192,
        clock=device.clock,
        wait=device.rest,
    ).model
    session, baseline_j, provenances = Session(), 0.0, set[Provenance]()
    device.active_j = 0.0
    for n in range(n_requests):
        device.rest(device.chance.uniform(0.1, 2.0))
        prompt_tokens = device.chance.randint(50, 1500)
        workload = Workload(
            prompt_tokens=prompt_tokens,
            new_tokens=device.chance.randint(2, 24),
            exit_layer=device.chance.choice((9, 15, 30)),
            reuses_prompt=device.chance.random() < 0.7,
        )
        with EnergyWindow(device, clock=device.clock) as window:
            work = device.run(workload)
        full = baseline_work(
            work[Phase.PREFILL], prompt_tokens=prompt_tokens, tokens=workload.new_tokens, n_layers=DEVICE.n_layers
        )
        energy, full_j, range_j = account(
            work, cost_model=model, window=window, elapsed_s=window.elapsed_s, baseline=full
        )
        baseline_j += sum(phase_energy_j(DEVICE, full).values())
        provenances.add(energy.provenance)
        completion = fake_completion("four")
        completion = replace(completion, energy=energy, baseline_energy_j=full_j, saved_range_j=range_j)
        session.record(str(n), completion)
    totals = session.totals(str, green_mode=20, layers_total=DEVICE.n_layers, today=SpentToday())
    return totals, baseline_j, provenances


def test_a_sessions_total_is_what_the_counter_says_of_the_same_span() -> None:
    device = CountedDevice(refresh_s=0.1, noise=0.05)

    totals, _, provenances = typed(device, 200)

    assert provenances == {Provenance.MEASURED, Provenance.MODELLED}  # most windows are shorter than the counter needs
    assert totals.energy_j == pytest.approx(device.active_j, rel=0.05)


def test_what_is_derived_is_true_to_a_percent() -> None:
    device = CountedDevice(refresh_s=0.0)

    totals, baseline_j, _ = typed(device, 50)

    assert totals.energy_j == pytest.approx(device.active_j, rel=0.01)
    assert totals.baseline_energy_j == pytest.approx(baseline_j, rel=0.01)
    assert totals.saved_j == pytest.approx(baseline_j - device.active_j, rel=0.01)
    assert totals.saved_low_j is not None
    assert totals.saved_high_j is not None
    assert totals.saved_low_j < baseline_j - device.active_j < totals.saved_high_j
    assert totals.wasted_j == totals.energy_j
