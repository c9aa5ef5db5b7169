from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import pytest

from engine.energy.cost_model import DeviceCostModel, baseline_work, default_cost_model, energy_j, phase_energy_j
from engine.types import ModelGeometry, Phase, Work

ROUND = DeviceCostModel(
    prefill_token_j=4.0,
    token_j=0.5,
    layer_pass_j=10.0,
    head_pass_j=30.0,
    policy_check_j=0.01,
    propagated_layer_j=2.0,
    n_layers=4,
    source="round numbers",
    relative_error=None,
    idle_power_w=None,
    context_pass_j=0.002,
    context_token_j=0.001,
)
LLAMA_3_2_3B = ModelGeometry(  # fp32, as GREEN-CODE ran it
    n_layers=28, layer_params=100_669_440, kv_params=6_291_456, head_params=128_256 * 3072, bytes_per_param=4.0
).with_cache(key_width=1024, query_width=3072, bytes_per_value=4)
SMOLLM2_135M = ModelGeometry(
    n_layers=30, layer_params=3_540_096, kv_params=221_184, head_params=49_152 * 576, bytes_per_param=4.0
).with_cache(key_width=192, query_width=576, bytes_per_value=2)


@pytest.mark.parametrize(
    ("work", "joules"),
    [
        (Work(), 0.0),
        (Work(prefill_tokens=3), 12.0),
        (Work(tokens=2), 1.0),
        (Work(layer_passes=4, layer_tokens=4), 40.0),
        (Work(head_passes=1, head_tokens=1), 30.0),
        (Work(policy_checks=7), 0.07),
        (Work(propagated_layers=3), 6.0),
        (Work(context_passes=500, context_tokens=500), 1.0),
    ],
)
def test_each_unit_of_work_costs_its_coefficient(work: Work, joules: float) -> None:
    assert energy_j(ROUND, work) == pytest.approx(joules)


def test_further_positions_of_a_batched_pass_cost_their_share_of_prefill() -> None:
    verified_together = Work(layer_passes=2, layer_tokens=2 * 5)

    assert energy_j(ROUND, verified_together) == pytest.approx(2 * 10.0 + 8 * 4.0 / 4)


def test_further_positions_attend_to_a_cache_that_was_read_already() -> None:
    assert energy_j(ROUND, Work(context_passes=500, context_tokens=500 + 400 + 300)) == pytest.approx(1.0 + 0.7)


def test_further_positions_of_the_head_cost_as_many_layers_as_it_weighs() -> None:
    assert energy_j(ROUND, Work(head_passes=1, head_tokens=5)) == pytest.approx(30.0 + 4 * (4.0 / 4) * 3.0)


def test_head_of_a_device_whose_layers_cost_nothing_is_still_costed() -> None:
    assert energy_j(replace(ROUND, layer_pass_j=0.0), Work(head_passes=1, head_tokens=5)) == 30.0


def test_phases_are_costed_apart() -> None:
    costs = phase_energy_j(ROUND, {Phase.PREFILL: Work(prefill_tokens=1), Phase.POLICY: Work(policy_checks=2)})

    assert costs == {Phase.PREFILL: pytest.approx(4.0), Phase.POLICY: pytest.approx(0.02)}


@pytest.mark.parametrize("joules", [-1.0, math.nan, math.inf])
def test_joules_that_mean_nothing_are_refused(joules: float) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        replace(ROUND, layer_pass_j=joules)


def test_default_on_a_gpu_is_the_published_cost_of_a_layer() -> None:
    assert default_cost_model(LLAMA_3_2_3B, "cuda").layer_pass_j == pytest.approx(0.245, rel=0.01)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_default_says_that_its_error_is_unknown(device: Literal["cpu", "cuda"]) -> None:
    model = default_cost_model(SMOLLM2_135M, device)

    assert (model.relative_error, model.idle_power_w, model.source) == (
        None,
        None,
        "uncalibrated, by bytes of weights read",
    )


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_default_costs_stand_in_the_order_that_early_exit_relies_on(device: Literal["cpu", "cuda"]) -> None:
    model = default_cost_model(SMOLLM2_135M, device)
    full_token_j = model.n_layers * model.layer_pass_j

    assert model.propagated_layer_j < model.layer_pass_j < model.head_pass_j < full_token_j
    assert model.prefill_token_j < full_token_j


def test_default_of_half_precision_halves_what_is_bound_by_memory() -> None:
    whole, half = (default_cost_model(replace(SMOLLM2_135M, bytes_per_param=size), "cpu") for size in (4.0, 2.0))

    assert half.layer_pass_j == pytest.approx(whole.layer_pass_j / 2)
    assert half.prefill_token_j == whole.prefill_token_j


PREFILL = Work(prefill_tokens=100, layer_passes=30, layer_tokens=30)


def test_first_token_of_the_baseline_comes_from_the_prefill() -> None:
    assert baseline_work(PREFILL, prompt_tokens=100, tokens=5, n_layers=30) == {
        Phase.PREFILL: PREFILL,
        Phase.DECODE: Work(
            tokens=4,
            layer_passes=120,
            layer_tokens=120,
            head_passes=5,
            head_tokens=5,
            context_passes=30 * (101 + 102 + 103 + 104),
            context_tokens=30 * (101 + 102 + 103 + 104),
        ),
    }


def test_baseline_of_no_tokens_is_the_prefill() -> None:
    assert baseline_work(PREFILL, prompt_tokens=100, tokens=0, n_layers=30) == {
        Phase.PREFILL: PREFILL,
        Phase.DECODE: Work(),
    }
