"""A policy and a person that the decoder must bear with."""

import random

from engine.policy.base import Action, ExitCandidate


class RandomPolicy:
    """Draws among the actions it was given; finds states that no sensible policy visits."""

    name = "random"

    def __init__(self, seed: int, actions: tuple[Action, ...]) -> None:
        self._random = random.Random(seed)
        self._actions = actions

    def decide(self, candidate: ExitCandidate) -> Action:
        return self._random.choice(self._actions)


class CancelAfter:
    """Cancels at the nth question."""

    def __init__(self, n_questions: int) -> None:
        self._left = n_questions

    @property
    def is_cancelled(self) -> bool:
        self._left -= 1
        return self._left < 0
