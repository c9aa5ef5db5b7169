from dataclasses import replace

import numpy as np
import pytest

from engine.evaluation.runs import PlaceRun
from engine.evaluation.statistics import Runs, front_at, hypervolume, slider

RUN = PlaceRun(
    arm="full-depth",
    place=0,
    decode_j=1.0,
    prompt_j=0.0,
    layer_passes=30,
    head_passes=1,
    weight_bytes=1.0,
    decode_s=1.0,
    cpu_s=1.0,
    policy_s=0.0,
    tokens=10,
    layers=300,
    kept=10,
    kept_of_full=10,
    exact_line=1,
    edit_similarity=1.0,
    rouge_l=1.0,
    agreed=10,
    identical=1,
    finish_reason="stop",
    text="",
)


def arm(name: str, energy_j: float, kept: int, n_places: int = 40) -> list[PlaceRun]:
    """Places cost and give between one and four times as much as each other; the arm a share of that."""
    return [
        replace(RUN, arm=name, place=at, decode_j=energy_j * (1 + at % 4), kept=kept * (1 + at % 4))
        for at in range(n_places)
    ]


def runs_of(**arms: tuple[float, int]) -> Runs:
    runs = [run for name, (energy_j, kept) in arms.items() for run in arm(name, energy_j, kept)]
    return Runs(runs, "full", n_resamples=200)


def test_a_saving_that_is_the_same_everywhere_has_no_interval() -> None:
    saved = runs_of(full=(1.0, 10), half=(0.5, 9)).saved("half", "decode_j")

    assert (saved.value, saved.low, saved.high) == pytest.approx((0.5, 0.5, 0.5))


def test_a_saving_that_differs_between_places_has_one_round_its_value() -> None:
    uneven = [replace(run, decode_j=float(run.place % 2)) for run in arm("uneven", 1.0, 10)]
    saved = Runs([*arm("full", 1.0, 10), *uneven], "full", n_resamples=200).saved("uneven", "decode_j")

    assert saved.low < saved.value < saved.high


def test_resamples_in_which_the_baseline_keeps_nothing_say_nothing() -> None:
    rarely = [replace(run, kept=5 if run.place == 0 else 0) for run in arm("full", 1.0, 0)]
    elsewhere = [replace(run, arm="other", kept=5 if run.place < 2 else 0) for run in rarely]
    lost = Runs([*rarely, *elsewhere], "full", n_resamples=200).saved("other", "kept")

    assert lost.value == pytest.approx(-1.0)
    assert np.isfinite([lost.low, lost.high]).all()


def test_the_best_saving_is_sought_among_the_arms_that_lose_little() -> None:
    runs = runs_of(full=(1.0, 100), good=(0.7, 99), greedy=(0.2, 50), worse=(0.8, 100))

    assert runs.best_at_small_loss(["good", "greedy", "worse"]) == "good"
    assert runs.best_at_small_loss(["greedy"]) is None


def constant(*values: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Points without noise, given as saved, kept, saved, kept ..."""
    return [(np.full(3, x), np.full(3, y)) for x, y in zip(values[::2], values[1::2], strict=True)]


@pytest.mark.parametrize(
    ("saved", "kept"),
    [
        (0.0, 1.0),  # less saved than any arm: the best of them
        (0.2, 1.0),
        (0.4, 0.9),  # half way between two arms
        (0.6, 0.8),
        (0.8, 0.4),  # half way to offering nothing
        (1.0, 0.0),
    ],
)
def test_the_front_goes_from_arm_to_arm_and_on_to_offering_nothing(saved: float, kept: float) -> None:
    front = front_at(np.full(3, saved), constant(0.2, 1.0, 0.6, 0.8, 0.3, 0.5))

    assert front == pytest.approx(np.full(3, kept))


def test_the_hypervolume_is_the_area_that_the_arms_dominate() -> None:
    assert hypervolume(constant(0.5, 1.0, 0.8, 0.5)) == pytest.approx(np.full(3, 0.5 * 1.0 + 0.3 * 0.5))
    assert hypervolume(constant(0.5, 1.0, 0.4, 0.9)) == pytest.approx(np.full(3, 0.5))


def test_a_slider_is_monotone_where_no_step_costs_more() -> None:
    even = slider(runs_of(full=(1.0, 1), a=(0.9, 1), b=(0.8, 1), c=(0.7, 1)), ["a", "b", "c"])
    uneven = slider(runs_of(full=(1.0, 1), a=(0.9, 1), b=(0.95, 1), c=(0.7, 1)), ["a", "b", "c"])

    assert even.monotone
    assert even.monotone_share == 1.0
    assert even.largest_step == pytest.approx(0.5)
    assert not uneven.monotone
    assert uneven.largest_step == pytest.approx(1.25)
