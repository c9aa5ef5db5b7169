"""What hindsight could save: the bound that every policy is seen beside.

Knowing what full depth will say, each pass leaves at the first exit that says the same, and nothing is decoded behind
the last character that is kept. So the text kept is full depth's; what is left is the energy. The bound is that of
exits taken greedily: a pass that leaves later could spare its follower nothing, as fills are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.policy.base import Action
from engine.prefix import common_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.policy.base import ExitCandidate


@dataclass(frozen=True, slots=True)
class Oracle:
    """Leaves at the first exit that says what full depth does. What it looks at is counted, and not to be charged.

    Args:
        token_ids: What full depth says.
    """

    token_ids: Sequence[int]

    @property
    def name(self) -> str:
        """See `ExitPolicy.name`."""
        return "oracle"

    def decide(self, candidate: ExitCandidate) -> Action:
        """See `ExitPolicy.decide`."""
        right = self.token_ids[candidate.n_emitted :]
        if not right:
            return Action.CONTINUE
        said = candidate.tokens()[: len(right)]
        return Action.EXIT if common_prefix(said, right) == len(said) else Action.CONTINUE
