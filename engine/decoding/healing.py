"""Token healing: the first tokens must spell what is typed already, whichever tokens the model spells it by.

A cursor inside a word cuts the text where no token ended in training, and there the model loses words that it knows.
So the prompt ends where the word begins, and while typed bytes remain only tokens are allowed that go on behind them,
or that the tokenizer cuts them into (Lundberg, "The Art of Prompt Design: Prompt Boundaries and Token Healing", 2023).
Knows no model and no document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from engine.model.vocabulary import Vocabulary


class Constraint(Protocol):
    """What may be chosen next. Once everything may, it stays so."""

    def allowed(self, token_ids: Sequence[int]) -> NDArray[np.int64] | None:
        """The ids that may follow `token_ids`, one at least; None for every token."""
        ...


class Healing:
    """The constraint that a text begins with given bytes."""

    def __init__(self, vocabulary: Vocabulary, typed: bytes, cuts: Collection[tuple[int, int]]) -> None:
        """Looks up what may stand for `typed`.

        Args:
            vocabulary: The model's.
            typed: What the text has to begin with.
            cuts: Tokens that a tokenizer cuts it into, as far as they end before its end: the byte where each begins,
                and its id. The model has seen no others there, and knows nothing of what follows them.
        """
        self._vocabulary, self._typed = vocabulary, typed
        self._allowed = _spellings(vocabulary, typed, cuts)

    @property
    def is_possible(self) -> bool:
        """Whether the vocabulary has tokens for the typed bytes."""
        return len(self._allowed[0]) > 0

    def allowed(self, token_ids: Sequence[int]) -> NDArray[np.int64] | None:
        """See `Constraint.allowed`; `token_ids` are all since the prompt, and were allowed."""
        n_done = 0
        for token_id in token_ids:
            n_done += len(self._vocabulary[token_id])
            if n_done >= len(self._typed):
                return None
        return self._allowed[n_done] if self._typed else None


def _spellings(vocabulary: Vocabulary, typed: bytes, cuts: Collection[tuple[int, int]]) -> list[NDArray[np.int64]]:
    """What may stand at each place of the typed bytes, so that the rest can be spelled as well."""
    allowed: list[NDArray[np.int64]] = []  # from the last place on
    for start in range(len(typed) - 1, -1, -1):
        ids = [token_id for place, token_id in cuts if place == start and _is_followed(vocabulary[token_id], allowed)]
        allowed.append(np.concatenate((vocabulary.beginning_with(typed[start:]), np.array(ids, np.int64))))
    return allowed[::-1] or [np.empty(0, np.int64)]


def _is_followed(spelling: bytes, allowed: Sequence[NDArray[np.int64]]) -> bool:
    """Whether there is something for the place behind a token; the last of `allowed` is behind its first byte."""
    return len(allowed[-len(spelling)]) > 0
