"""Policies without learning: full depth, one fixed exit, a confidence threshold, random exits.

They are what the learned policy is judged against. None of them stops a suggestion of its own accord; `WithStop` lends
one of them the STOP of another policy.
"""

from __future__ import annotations

import math
import operator
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.policy.base import Action
from engine.types import PROJECT_ALONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.policy.base import ExitCandidate, ExitPolicy

_STEEPEST = 5.0  # of the random exits' weights, a layer: e^5 from one layer to the next is as good as certainty
_BISECTIONS = 60


@dataclass(frozen=True, slots=True)
class FullDepth:
    """Never leaves early: the baseline of every saving."""

    @property
    def name(self) -> str:
        """See `ExitPolicy.name`."""
        return "full-depth"

    def decide(self, candidate: ExitCandidate) -> Action:
        """See `ExitPolicy.decide`."""
        return Action.CONTINUE


class ProjectAlone:
    """Says what the project is sure of, before any layer, and never runs the model."""

    @property
    def name(self) -> str:
        """See `ExitPolicy.name`."""
        return PROJECT_ALONE

    def decide(self, candidate: ExitCandidate) -> Action:
        """See `ExitPolicy.decide`."""
        return Action.STOP


@dataclass(frozen=True, slots=True)
class FixedExit:
    """Leaves at the same layer every time."""

    exit_layer: int

    @property
    def name(self) -> str:
        """See `ExitPolicy.name`."""
        return f"fixed:{self.exit_layer}"

    def decide(self, candidate: ExitCandidate) -> Action:
        """See `ExitPolicy.decide`."""
        return Action.EXIT if candidate.exit_layer >= self.exit_layer else Action.CONTINUE


@dataclass(frozen=True, slots=True)
class ConfidenceThreshold:
    """Leaves at the first exit whose top token has at least this probability (CALM, arXiv 2207.07061).

    Each check evaluates the whole LM head, which for a large vocabulary costs as much as several layers; hence
    `first_layer`, below which nothing is asked.
    """

    probability: float
    first_layer: int = 0

    @property
    def name(self) -> str:
        """See `ExitPolicy.name`."""
        return f"confidence:{self.probability:g}"

    def decide(self, candidate: ExitCandidate) -> Action:
        """See `ExitPolicy.decide`."""
        if candidate.exit_layer < self.first_layer:
            return Action.CONTINUE
        return Action.EXIT if candidate.probability() >= self.probability else Action.CONTINUE


class RandomExit:
    """Leaves each token at an exit drawn at random: what a policy is worth that knows the depth but not the token.

    The layer is drawn with probability proportional to exp(t layer), the least committed distribution with the wanted
    mean; full depth is one of the layers. One seed gives one sequence of draws; not for use by two threads at once.

    Args:
        exit_layers: The model's exits.
        n_layers: The model's full depth.
        mean_layer: Expected depth, in layers.
        seed: The seed of the draws.
    """

    def __init__(self, *, exit_layers: Sequence[int], n_layers: int, mean_layer: float, seed: int) -> None:
        self._layers = (*exit_layers, n_layers)
        self._mean_layer = mean_layer
        self._weights = _weights_with_mean(self._layers, mean_layer)
        self._random = random.Random(seed)  # noqa: S311 - nothing secret
        self._drawn_for = -1
        self._layer = n_layers

    @property
    def name(self) -> str:
        """See `ExitPolicy.name`."""
        return f"random:{self._mean_layer:.1f}"

    def decide(self, candidate: ExitCandidate) -> Action:
        """See `ExitPolicy.decide`."""
        if candidate.exit_index == 0 or candidate.n_emitted != self._drawn_for:
            self._drawn_for = candidate.n_emitted
            self._layer = self._random.choices(self._layers, self._weights)[0]
        return Action.EXIT if candidate.exit_layer >= self._layer else Action.CONTINUE


@dataclass(frozen=True, slots=True)
class WithStop:
    """Another policy with the STOP of a second one: the first decides, unless the second ends the suggestion here."""

    base: ExitPolicy
    stopper: ExitPolicy

    @property
    def name(self) -> str:
        """See `ExitPolicy.name`."""
        return f"{self.base.name}+stop"

    def decide(self, candidate: ExitCandidate) -> Action:
        """See `ExitPolicy.decide`."""
        return Action.STOP if self.stopper.decide(candidate) is Action.STOP else self.base.decide(candidate)


def _weights_with_mean(layers: Sequence[int], mean_layer: float) -> list[float]:
    """Weights exp(t layer) whose mean layer is `mean_layer`, as near as they come to it; t by bisection."""
    low, high = -_STEEPEST, _STEEPEST
    weights = [1.0] * len(layers)
    for _ in range(_BISECTIONS):
        tilt = (low + high) / 2
        weights = [math.exp(tilt * (layer - layers[-1])) for layer in layers]
        mean = sum(map(operator.mul, weights, layers)) / sum(weights)
        low, high = (tilt, high) if mean < mean_layer else (low, tilt)
    return weights
