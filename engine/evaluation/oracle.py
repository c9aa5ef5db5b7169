"""What hindsight could save: the bound that every policy is seen beside.

Knowing what full depth will say, each token leaves at the first exit that says the same, and nothing is decoded behind
the last character that is kept. So the text kept is full depth's; what is left is the energy. The bound is that of
exits taken greedily: a token that leaves later could spare its follower nothing, as fills are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.policy.base import Action

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.early_exit import EarlyExitModel
    from engine.policy.base import ExitCandidate


@dataclass(frozen=True, slots=True)
class Oracle:
    """Leaves at the first exit that says what full depth does. What it looks at is counted, and not to be charged.

    Args:
        model: Whose exits are asked.
        token_ids: What full depth says.
    """

    model: EarlyExitModel
    token_ids: Sequence[int]

    @property
    def name(self) -> str:
        """See `ExitPolicy.name`."""
        return "oracle"

    def decide(self, candidate: ExitCandidate) -> Action:
        """See `ExitPolicy.decide`."""
        if candidate.n_emitted >= len(self.token_ids):
            return Action.CONTINUE
        state = candidate.hidden().view(1, 1, -1)
        choice = int(self.model.logits(state, candidate.exit_layer).argmax())
        return Action.EXIT if choice == self.token_ids[candidate.n_emitted] else Action.CONTINUE
