"""Policies without learning: full depth, one fixed exit, a confidence threshold.

They are what the learned policy is judged against. None of them stops a suggestion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.policy.base import Action

if TYPE_CHECKING:
    from engine.policy.base import ExitCandidate


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
