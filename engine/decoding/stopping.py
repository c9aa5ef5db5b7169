"""When decoding ends for reasons of its own: the model's end of text, or a rule about the tokens so far."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.types import FinishReason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def no_rule(token_ids: Sequence[int]) -> FinishReason | None:
    """The rule of a caller who reads on to the length limit."""
    return None


def no_doubt(token_ids: Sequence[int], chances: Mapping[int, float]) -> bool:
    """The doubt of a caller who reads whatever is said."""
    return False


def chance_of_all(n_tokens: int, chances: Mapping[int, float]) -> float | None:
    """The chance that the first tokens are all right; None where that of one is not known."""
    if any(index not in chances for index in range(n_tokens)):
        return None
    return math.prod(chances[index] for index in range(n_tokens))


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCondition:
    """What ends a completion.

    Attributes:
        max_new_tokens: Upper bound on tokens.
        end_ids: Token ids that end the text; they are not part of it.
        rule: Asked after each token with all ids so far; a reason ends the text after that token.
        doubt: Asked after each token with all ids so far, and with the chance of each where that is known; True gives
            the text up.
        least_chance: Least chance that all tokens are right with which the text goes on, where all chances are known.
    """

    max_new_tokens: int
    end_ids: frozenset[int] = frozenset()
    rule: Callable[[Sequence[int]], FinishReason | None] = field(default=no_rule)
    doubt: Callable[[Sequence[int], Mapping[int, float]], bool] = field(default=no_doubt)
    least_chance: float = 0.0

    def reason_to_end(self, token_ids: Sequence[int], chances: Mapping[int, float]) -> FinishReason | None:
        """Why the text ends with the last of these tokens; None where it goes on."""
        if token_ids[-1] in self.end_ids:
            return FinishReason.STOP
        if self.doubt(token_ids, chances):
            return FinishReason.DOUBT
        if self._is_unlikely(len(token_ids), chances):
            return FinishReason.UNLIKELY
        at_limit = FinishReason.LENGTH if len(token_ids) >= self.max_new_tokens else None
        return self.rule(token_ids) or at_limit

    def _is_unlikely(self, n_tokens: int, chances: Mapping[int, float]) -> bool:
        if not self.least_chance:
            return False
        chance = chance_of_all(n_tokens, chances)
        return chance is not None and chance < self.least_chance
