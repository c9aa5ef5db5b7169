from __future__ import annotations

import random
from dataclasses import replace

import pytest

from engine.energy.cost_model import baseline_work, default_cost_model, energy_j
from engine.energy.fit import fit_cost_model
from engine.types import Phase, Work
from tests.engine.energy.test_cost_model import SMOLLM2_135M

PRIOR = default_cost_model(SMOLLM2_135M, "cpu")
DEVICE = replace(  # other proportions than the shipped default's
    PRIOR, prefill_token_j=0.02, token_j=0.03, layer_pass_j=0.006, head_pass_j=0.11, source="the device"
)


def runs(repetitions: int = 20) -> list[Work]:
    """Work of a grid of workloads that leave at several layers."""
    return [
        Work(
            prefill_tokens=repetitions * prompt_tokens,
            tokens=repetitions * (new_tokens - 1),
            layer_passes=repetitions * (new_tokens - 1) * exit_layer,
            layer_tokens=repetitions * (new_tokens - 1) * exit_layer,
            head_passes=repetitions * new_tokens,
            head_tokens=repetitions * new_tokens,
        )
        for prompt_tokens in (64, 192)
        for new_tokens in (1, 12, 32)
        for exit_layer in (3, 15, 30)
    ]


def test_known_coefficients_are_recovered() -> None:
    fitted = fit_cost_model(
        [(work, energy_j(DEVICE, work)) for work in runs()], prior=PRIOR, source="s", prior_weight=1e-9
    )

    assert fitted.prefill_token_j == pytest.approx(DEVICE.prefill_token_j, rel=1e-3)
    assert fitted.token_j == pytest.approx(DEVICE.token_j, rel=1e-2)
    assert fitted.layer_pass_j == pytest.approx(DEVICE.layer_pass_j, rel=1e-3)
    assert fitted.head_pass_j == pytest.approx(DEVICE.head_pass_j, rel=1e-2)
    assert fitted.relative_error == pytest.approx(0.0, abs=1e-3)


def test_noisy_windows_still_predict_a_completion() -> None:
    noise = random.Random(7)
    samples = [(work, energy_j(DEVICE, work) * noise.gauss(1.0, 0.05)) for work in runs()]

    fitted = fit_cost_model(samples, prior=PRIOR, source="s")

    completion = baseline_work(Work(), 24, 30)[Phase.DECODE] + Work(prefill_tokens=100)
    assert energy_j(fitted, completion) == pytest.approx(energy_j(DEVICE, completion), rel=0.05)
    assert fitted.relative_error is not None
    assert 0.01 < fitted.relative_error < 0.10


def test_what_the_samples_are_silent_about_keeps_the_priors_proportion() -> None:
    thrice = [(work, 3.0 * energy_j(PRIOR, work)) for work in runs()]

    fitted = fit_cost_model(thrice, prior=PRIOR, source="s")

    assert fitted.policy_check_j == pytest.approx(3.0 * PRIOR.policy_check_j, rel=1e-6)
    assert fitted.propagated_layer_j == pytest.approx(3.0 * PRIOR.propagated_layer_j, rel=1e-6)


def test_no_coefficient_is_negative() -> None:
    falling = [(work, 10.0 / (1 + work.layer_passes)) for work in runs()]  # no device: more work, fewer joules

    fitted = fit_cost_model(falling, prior=PRIOR, source="s")

    assert fitted.layer_pass_j >= 0
    assert fitted.relative_error is not None
    assert fitted.relative_error > 0.5
