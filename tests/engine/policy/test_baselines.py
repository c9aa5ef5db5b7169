from collections.abc import Callable

import numpy as np
import pytest

from engine.policy.base import Action, ExitCandidate
from engine.policy.baselines import ConfidenceThreshold, FixedExit, FullDepth, RandomExit, WithStop

LAYERS = (3, 6, 9, 12)


def candidate(exit_layer: int, *, n_emitted: int = 1, probability: Callable[[], float] = lambda: 0.0) -> ExitCandidate:
    return ExitCandidate(
        hidden=lambda: np.zeros(4, np.float32),
        exit_index=LAYERS.index(exit_layer),
        exit_layer=exit_layer,
        n_waiting=0,
        n_emitted=n_emitted,
        n_drafts=0,
        energy_weight=0.5,
        text_chance=lambda: 0.5,
        guess_chance=lambda: 0.25,
        probability=probability,
        tokens=list,
    )


def depths(policy: RandomExit, n_tokens: int) -> list[int]:
    """Where each token leaves."""
    return [
        next((at for at in LAYERS[:-1] if policy.decide(candidate(at, n_emitted=n)) is Action.EXIT), LAYERS[-1])
        for n in range(n_tokens)
    ]


def random_exit(mean_layer: float, seed: int = 0) -> RandomExit:
    return RandomExit(exit_layers=LAYERS[:-1], n_layers=LAYERS[-1], mean_layer=mean_layer, seed=seed)


@pytest.mark.parametrize("mean_layer", [3.0, 5.0, 7.5, 11.0, 12.0])
def test_random_exits_have_the_mean_depth_that_was_asked_for(mean_layer: float) -> None:
    left_at = depths(random_exit(mean_layer), 4000)

    assert sum(left_at) / len(left_at) == pytest.approx(mean_layer, abs=0.2)


def test_random_exits_are_the_same_for_the_same_seed() -> None:
    assert depths(random_exit(7.0, seed=1), 50) == depths(random_exit(7.0, seed=1), 50)
    assert depths(random_exit(7.0, seed=1), 50) != depths(random_exit(7.0, seed=2), 50)


def test_a_token_first_asked_in_the_middle_of_a_pass_gets_a_draw_of_its_own() -> None:
    policy = random_exit(7.5)
    decisions = {policy.decide(candidate(6, n_emitted=n)) for n in range(50)}

    assert decisions == {Action.EXIT, Action.CONTINUE}


def test_a_confidence_threshold_asks_nothing_before_its_first_layer() -> None:
    def asked() -> float:
        raise AssertionError

    assert ConfidenceThreshold(0.5, first_layer=6).decide(candidate(3, probability=asked)) is Action.CONTINUE
    assert ConfidenceThreshold(0.5).decide(candidate(3, probability=lambda: 0.6)) is Action.EXIT


class StopsAt:
    name = "stops"

    def __init__(self, n_emitted: int) -> None:
        self._n_emitted = n_emitted

    def decide(self, candidate: ExitCandidate) -> Action:
        return Action.STOP if candidate.n_emitted >= self._n_emitted else Action.EXIT


def test_a_borrowed_stop_ends_the_suggestion_and_decides_nothing_else() -> None:
    policy = WithStop(FixedExit(9), StopsAt(2))

    assert policy.decide(candidate(3, n_emitted=1)) is Action.CONTINUE
    assert policy.decide(candidate(9, n_emitted=1)) is Action.EXIT
    assert policy.decide(candidate(3, n_emitted=2)) is Action.STOP
    assert policy.name == "fixed:9+stop"
    assert WithStop(FullDepth(), StopsAt(9)).decide(candidate(9)) is Action.CONTINUE
