"""`DecoderJudge`: what a policy spends and keeps on the real decoder. It knows no network and no training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engine.policy.baselines import FullDepth
from engine.training.policy.closed_loop import Outcome, play, usual_point
from engine.training.policy.env import EpisodeKind
from engine.training.policy.slider import Point, point_of
from engine.types import DEFAULT_GREEN_MODE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.energy.cost_model import DeviceCostModel
    from engine.policy.base import ExitPolicy
    from engine.text import TextDecoder
    from engine.training.policy.recordings import TrainingPlace
    from engine.types import ProgressSink


class DecoderJudge:
    """Runs policies on the real decoder, always at the same places.

    Args:
        texts: Decodes with the model and its trained exits, and holds the projects that the places name.
        held_out: The places, from text that nothing was trained on.
        cost: Joules per unit of work.
        mean_chars: Mean characters of a token, by which kept text is counted in tokens.
        progress: Is called for each place.
    """

    def __init__(
        self,
        texts: TextDecoder,
        held_out: Sequence[TrainingPlace],
        cost: DeviceCostModel,
        mean_chars: float,
        progress: ProgressSink,
    ) -> None:
        self._texts, self._places, self._cost = texts, held_out, cost
        self._mean_chars, self._progress = mean_chars, progress

    def points(
        self, policy: ExitPolicy, weights: Sequence[float], green_modes: Sequence[int] | None = None
    ) -> list[Point]:
        """A policy's point at each weight, against full depth on the same places.

        Args:
            policy: The policy.
            weights: The weights of energy.
            green_modes: What else the slider means, for each of them; None for the default green mode everywhere.
        """
        modes = green_modes or [DEFAULT_GREEN_MODE] * len(weights)
        texts = self._texts
        plain = replace(usual_point(0.0), lookup=0)
        baseline, outcomes = [], [list[Outcome]() for _ in weights]
        for done, place in enumerate(self._places):
            self._progress("Judging the policy on the decoder", done, len(self._places))
            kind = EpisodeKind(energy_weight=0.0, may_stop=True, with_end_rules=True)
            baseline.append(play(texts, place, FullDepth(), kind=kind, cost=self._cost, point=plain))
            for column, (weight, mode) in enumerate(zip(weights, modes, strict=True)):
                kind = replace(kind, energy_weight=weight)
                decider = FullDepth() if weight == 0.0 else policy  # as the product does at green mode 0
                outcomes[column].append(
                    play(texts, place, decider, kind=kind, cost=self._cost, point=usual_point(weight, mode))
                )
        return [
            point_of(weight, column, baseline, self._mean_chars)
            for weight, column in zip(weights, outcomes, strict=True)
        ]
