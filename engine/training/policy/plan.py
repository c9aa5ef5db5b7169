"""`PolicyPlan`: how much a training of the policy does, and which exits the policy looks at. It runs nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.errors import TrainingError
from engine.training.policy.ppo import PpoPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHECK_SHARES = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9)  # of the depth; below them STOP comes cheap, above them exits are good


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPlan:
    """How much a training does.

    Attributes:
        places: Places recorded to learn from; about a second each on two cores.
        validation_places: Places recorded to judge by.
        text_tokens: Tokens of plain text for the probes' first epochs.
        start_steps: Batches of each part of the supervised start.
        ppo: PPO on recordings.
        closed_loop_steps: Decisions of PPO on the real decoder.
        table_places: Validation places at which the real decoder calibrates the slider and makes the final table.
        check_layers: Exits that the policy looks at; None for the default.
        seed: The seed of everything that is drawn.
    """

    places: int = 1000
    validation_places: int = 150
    text_tokens: int = 24_000
    start_steps: int = 1500
    ppo: PpoPlan = field(default_factory=PpoPlan)
    closed_loop_steps: int = 4000
    table_places: int = 40
    check_layers: tuple[int, ...] | None = None
    seed: int = 0

    def layers_of(self, exit_layers: Sequence[int], n_layers: int) -> tuple[int, ...]:
        """The check layers for a model with these exits and so many layers.

        Raises:
            TrainingError: If there is none, or one is no exit of the model.
        """
        check_layers = self.check_layers or default_check_layers(exit_layers, n_layers)
        if not check_layers or not set(check_layers) <= set(exit_layers):
            raise TrainingError(f"The policy can only look at exits of the model, {list(exit_layers)}.")
        return check_layers


def default_check_layers(exit_layers: Sequence[int], n_layers: int) -> tuple[int, ...]:
    """A few of the exits, so that the policy costs little: those nearest to certain shares of the depth."""
    if not exit_layers:
        return ()
    nearest = {min(exit_layers, key=lambda layer: abs(layer - share * n_layers)) for share in _CHECK_SHARES}
    return tuple(sorted(nearest))
