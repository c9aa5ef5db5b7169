from __future__ import annotations

import random
from dataclasses import replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import pytest

from engine.decoding.work import further_context
from engine.energy.calibration import Workload, workload_grid
from engine.energy.cost_model import DeviceCostModel, baseline_work, default_cost_model, energy_j, phase_energy_j
from engine.energy.fit import coefficient_intervals, fit_cost_model
from engine.types import Phase, Work
from tests.engine.energy.test_cost_model import SMOLLM2_135M

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIOR = default_cost_model(SMOLLM2_135M, "cpu")
DEVICE = replace(  # other proportions than the shipped default's
    PRIOR,
    prefill_token_j=0.02,
    token_j=0.03,
    layer_pass_j=0.006,
    head_pass_j=0.11,
    context_pass_j=8e-7,
    context_token_j=4e-7,
    source="the device",
)


def runs(repetitions: int = 20) -> list[Work]:
    """Work of the grid that a calibration measures, each workload a few times."""
    grid = workload_grid(30, (3, 15, 24), max_positions=8192)
    return [reduce(add, [*work_of(workload, 30).values()] * repetitions) for workload in grid]


def work_of(workload: Workload, n_layers: int) -> dict[Phase, Work]:
    """What the decoder computes for one workload, its prompt in chunks of 64."""
    n_prompt, steps = workload.prompt_tokens, workload.new_tokens - 1
    cached = n_prompt - 1 if workload.reuses_prompt else 0
    context = workload.exit_layer * further_context(steps, n_prompt)
    starts = range(cached, n_prompt, 64)
    return {
        Phase.PREFILL: Work(
            prefill_tokens=n_prompt - cached,
            layer_passes=n_layers * len(starts),
            layer_tokens=n_layers * len(starts),
            context_passes=n_layers * sum(min(start + 64, n_prompt) for start in starts),
            context_tokens=n_layers * further_context(n_prompt - cached, cached),
        ),
        Phase.DECODE: Work(
            tokens=steps,
            layer_passes=steps * workload.exit_layer,
            layer_tokens=steps * workload.exit_layer,
            head_passes=workload.new_tokens,
            head_tokens=workload.new_tokens,
            context_passes=context,
            context_tokens=context,
        ),
    }


def request_j(model: DeviceCostModel, work: Mapping[Phase, Work]) -> float:
    return sum(phase_energy_j(model, work).values())


def test_known_coefficients_are_recovered() -> None:
    fitted = fit_cost_model(
        [(work, energy_j(DEVICE, work)) for work in runs()], prior=PRIOR, source="s", prior_weight=1e-9
    ).model

    assert fitted.prefill_token_j == pytest.approx(DEVICE.prefill_token_j, rel=1e-3)
    assert fitted.token_j == pytest.approx(DEVICE.token_j, rel=1e-2)
    assert fitted.layer_pass_j == pytest.approx(DEVICE.layer_pass_j, rel=1e-3)
    assert fitted.head_pass_j == pytest.approx(DEVICE.head_pass_j, rel=1e-2)
    assert fitted.context_pass_j == pytest.approx(DEVICE.context_pass_j, rel=1e-2)
    assert fitted.context_token_j == pytest.approx(DEVICE.context_token_j, rel=1e-2)
    assert fitted.relative_error == pytest.approx(0.0, abs=1e-3)


def test_noisy_windows_still_predict_a_completion() -> None:
    noise = random.Random(7)
    samples = [(work, energy_j(DEVICE, work) * noise.gauss(1.0, 0.05)) for work in runs()]

    fitted = fit_cost_model(samples, prior=PRIOR, source="s").model

    completion = baseline_work(Work(prefill_tokens=100), prompt_tokens=100, tokens=24, n_layers=30)
    assert request_j(fitted, completion) == pytest.approx(request_j(DEVICE, completion), rel=0.05)
    assert fitted.relative_error is not None
    assert 0.01 < fitted.relative_error < 0.10


def test_intervals_hold_the_device_and_grow_with_the_noise() -> None:
    widths = []
    for deviation in (0.02, 0.1):
        noise = random.Random(7)
        samples = [(work, energy_j(DEVICE, work) * noise.gauss(1.0, deviation)) for work in runs()]

        found = coefficient_intervals(samples, prior=PRIOR, n_resamples=60)["layer_pass_j"]

        assert found.low < found.value < found.high
        assert found.low < 1.02 * DEVICE.layer_pass_j
        assert found.high > 0.98 * DEVICE.layer_pass_j
        widths.append(found.high - found.low)
    assert widths[1] > 2 * widths[0]


def test_each_sample_is_predicted_from_the_others() -> None:
    exact = [(work, energy_j(DEVICE, work)) for work in runs()]
    off = [(exact[0][0], 2 * exact[0][1]), *exact[1:]]

    fit = fit_cost_model(off, prior=PRIOR, source="s", prior_weight=1e-9)

    assert fit.predicted_j[0] == pytest.approx(exact[0][1], rel=0.05)


def test_what_the_samples_are_silent_about_keeps_the_priors_proportion() -> None:
    thrice = [(work, 3.0 * energy_j(PRIOR, work)) for work in runs()]

    fitted = fit_cost_model(thrice, prior=PRIOR, source="s").model

    assert fitted.policy_check_j == pytest.approx(3.0 * PRIOR.policy_check_j, rel=1e-6)
    assert fitted.propagated_layer_j == pytest.approx(3.0 * PRIOR.propagated_layer_j, rel=1e-6)


def test_no_coefficient_is_negative() -> None:
    falling = [(work, 10.0 / (1 + work.layer_passes)) for work in runs()]  # no device: more work, fewer joules

    fitted = fit_cost_model(falling, prior=PRIOR, source="s").model

    assert fitted.layer_pass_j >= 0
    assert fitted.relative_error is not None
    assert fitted.relative_error > 0.5
