"""The bootstrap against what is known of it."""

import math

import numpy as np
import pytest

from engine.intervals import Estimate, draws, draws_of_groups, estimate, proportion


def test_every_draw_is_as_large_as_the_sample_and_the_first_is_the_sample() -> None:
    counts = draws(30, n_resamples=50)

    assert counts.shape == (51, 30)
    assert (counts[0] == 1).all()
    assert (counts.sum(axis=1) == 30).all()
    assert (counts == draws(30, n_resamples=50)).all()  # every figure sees the same


def test_the_interval_of_a_mean_is_the_textbooks() -> None:
    sample = np.random.default_rng(1).normal(5.0, 2.0, size=200)

    found = estimate(draws(200) @ sample / 200)

    half_width = 1.96 * sample.std() / math.sqrt(200)
    assert found.value == sample.mean()
    assert abs(found.low - (sample.mean() - half_width)) < 0.05
    assert abs(found.high - (sample.mean() + half_width)) < 0.05


def test_members_of_a_group_come_and_go_together() -> None:
    counts = draws_of_groups(["a", "a", "b", "c", "c", "c"], n_resamples=300)
    drawn = np.array([counts[1:, [0, 1]].sum(axis=1) / 2, counts[1:, 2], counts[1:, [3, 4, 5]].sum(axis=1) / 3])

    assert (drawn == drawn.round()).all()  # a group gives as many as it has, each time it is drawn
    assert (drawn.sum(axis=0) == 3).all()
    assert (counts[1:, 0] != counts[1:, 1]).any()  # within it members are drawn again


def test_groups_that_differ_widen_the_interval() -> None:
    values = np.repeat([0.0, 1.0, 2.0, 3.0], 25)

    alone = estimate(draws(100) @ values / 100)
    by_group = estimate(draws_of_groups(np.repeat(range(4), 25).tolist()) @ values / 100)

    assert by_group.high - by_group.low > 3 * (alone.high - alone.low)


def test_draws_without_a_figure_are_left_out() -> None:
    assert estimate(np.array([0.5, np.nan, 0.4, np.inf, 0.6])) == Estimate(value=0.5, low=0.405, high=0.595)
    assert estimate(np.array([0.5, np.nan])) == Estimate(value=0.5, low=0.5, high=0.5)
    assert math.isnan(estimate(np.array([np.nan, np.nan])).low)


@pytest.mark.parametrize(
    ("count", "n", "low", "high"), [(0, 20, 0.0, 0.161), (20, 20, 0.839, 1.0), (5, 50, 0.043, 0.214)]
)
def test_a_share_has_an_interval_where_it_is_none_or_all_as_well(count: int, n: int, low: float, high: float) -> None:
    found = proportion(count, n)

    assert (found.value, found.low, found.high) == pytest.approx((count / n, low, high), abs=1e-3)
