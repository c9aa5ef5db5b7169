"""When decoding ends for reasons of its own: the model's end of text, or a condition on the tokens so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def never(token_ids: Sequence[int]) -> bool:
    """The condition of a caller who reads on to the length limit."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCondition:
    """What ends a completion.

    Attributes:
        max_new_tokens: Upper bound on tokens.
        end_ids: Token ids that end the text; they are not part of it.
        is_complete: Asked after each token with all ids so far; True ends the text after that token.
    """

    max_new_tokens: int
    end_ids: frozenset[int] = frozenset()
    is_complete: Callable[[Sequence[int]], bool] = field(default=never)
