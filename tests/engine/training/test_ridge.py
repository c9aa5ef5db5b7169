import pytest
import torch

from engine.training.ridge import RIDGES, RegressionSums, fit, mean_squared_error, solve
from tests.engine.training.fakes import seeded

WIDTH = 8


def sums_of(*blocks: tuple[torch.Tensor, torch.Tensor]) -> RegressionSums:
    sums = RegressionSums.empty(1, WIDTH)
    for states, last in blocks:
        sums.add([states], last)
    return sums


@pytest.fixture
def affine() -> torch.Tensor:
    return seeded(WIDTH + 1, WIDTH, seed=1).double()


def labelled(affine: torch.Tensor, seed: int, noise: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    states = seeded(200, WIDTH, seed=seed)
    last = states.double() @ affine[:-1] + affine[-1]
    return states, (last + noise * seeded(200, WIDTH, seed=seed + 100)).float()


def test_a_known_map_is_recovered(affine: torch.Tensor) -> None:
    sums = sums_of(labelled(affine, 2), labelled(affine, 3))

    torch.testing.assert_close(solve(sums, 0, 0.0), affine, rtol=1e-4, atol=1e-4)


def test_sums_over_blocks_are_those_over_all_at_once(affine: torch.Tensor) -> None:
    first, second = labelled(affine, 2), labelled(affine, 3)
    joined = (torch.cat((first[0], second[0])), torch.cat((first[1], second[1])))

    torch.testing.assert_close(sums_of(first, second).xy, sums_of(joined).xy)


def test_a_strong_ridge_leaves_states_as_they_are(affine: torch.Tensor) -> None:
    solved = solve(sums_of(labelled(affine, 2)), 0, 1e9)

    torch.testing.assert_close(solved[:-1], torch.eye(WIDTH, dtype=torch.float64), rtol=0, atol=1e-4)


def test_the_error_is_that_of_the_predictions(affine: torch.Tensor) -> None:
    states, last = labelled(affine, 2)
    other = seeded(WIDTH + 1, WIDTH, seed=9).double()
    predicted = states.double() @ other[:-1] + other[-1]

    expected = float((predicted - last).square().sum(1).mean())

    assert mean_squared_error(sums_of((states, last)), 0, other) == pytest.approx(expected)


def test_the_ridge_is_the_one_that_held_out_text_prefers(affine: torch.Tensor) -> None:
    few = tuple(part[:9] for part in labelled(affine, 2, noise=3.0))
    validation = sums_of(labelled(affine, 3))

    (chosen,) = fit(sums_of(few), validation)  # type: ignore[arg-type]  # a pair

    smallest = solve(sums_of(few), 0, min(RIDGES))  # type: ignore[arg-type]  # a pair
    assert mean_squared_error(validation, 0, chosen) < mean_squared_error(validation, 0, smallest)
