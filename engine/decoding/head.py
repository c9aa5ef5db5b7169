"""What the LM head chooses for rows of hidden states: from a listing, from the whole vocabulary, from what is allowed.

It charges what it reads of the head. Knows no exits, no drafts and no cache.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from engine.decoding.judging_pace import JUDGED_AT_ONCE
from engine.decoding.lookup import lookup_draft
from engine.decoding.stopping import chance_of_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from engine.decoding.healing import Constraint
    from engine.decoding.judging_pace import JudgingPace
    from engine.decoding.work import PhaseCounter, WorkCounter
    from engine.model.early_exit import EarlyExitModel, Listing
    from engine.model.layer_runner import Array
    from engine.project.continuations import Continuations, Guess

_WORTH_A_ROW = 0.2
"""Least chance that a draft and those before it are right: a row costs a tenth or two of the pass that it may save."""


class Reading:
    """What the head said of some rows.

    Attributes:
        choices: The most likely token behind each row, among those that it may choose from.
        unsure: What the head read [1, T, D], where the whole head might choose otherwise; else None.
    """

    def __init__(
        self,
        model: EarlyExitModel,
        parts: Sequence[tuple[Array, NDArray[np.int64] | None]],
        unsure: Array | None = None,
        guesses: Sequence[Guess | None] = (),
    ) -> None:
        """Chooses.

        Args:
            model: The model that the head belongs to.
            parts: Logits [1, T, S] of rows one behind the other, and which ids [S] they are of; None for all.
            unsure: See the attribute.
            guesses: What the project says of each row, to be mixed with what the head says; none for the head alone.
        """
        self._model, self._parts, self.unsure = model, parts, unsure
        self.choices = [token_id for logits, ids in parts for token_id in model.choices(logits, ids)]
        self._mixed: dict[int, float] = {}  # by row: the chance of what it chooses together with the project
        if any(guesses):
            rows = [(logits[0, row], ids) for logits, ids in parts for row in range(logits.shape[1])]
            for row, ((logits, ids), guess) in enumerate(zip(rows, guesses, strict=True)):
                if guess is not None:
                    self.choices[row], self._mixed[row] = self._mix(self.choices[row], logits, ids, guess)

    def probabilities(self) -> list[float]:
        """The probability of each of `choices` among those tokens."""
        if len(self._mixed) == len(self.choices):  # nothing is left that the head chose alone
            return [self._mixed[row] for row in range(len(self.choices))]
        chances = [chance for logits, _ in self._parts for chance in self._model.probabilities(logits)]
        return [self._mixed.get(row, chance) for row, chance in enumerate(chances)]

    def _mix(self, choice: int, logits: Array, ids: NDArray[np.int64] | None, guess: Guess) -> tuple[int, float]:
        """What a row [S] that chose alone chooses together with the project, and the chance of that."""
        odds = self._model.to_numpy(logits)
        odds = np.exp(odds - odds.max())
        total = float(odds.sum())
        chances = {}
        for token_id in guess.token_ids:
            at = token_id if ids is None else next(iter(np.flatnonzero(ids == token_id).tolist()), None)
            chances[token_id] = 0.0 if at is None else float(odds[at]) / total
        return guess.mixed(choice, float(odds.max()) / total, chances)


class Head:
    """The LM head of one completion.

    Args:
        model: The model that the head belongs to.
        prompt_ids: What is continued; its tokens are on the listing.
        constraint: What may be chosen behind which tokens; None where everything may.
        work: Charged with rows beside the first of a reading; the first is charged to who asks.
        project: What the project says of the same text; None where the model is alone.
        pace: How many tokens of lossless text are judged at once; None for text that may differ from full depth's.

    Attributes:
        chances: The probability of each token among those that could be chosen in its place; of lossless text only
            where a constraint holds.
    """

    def __init__(
        self,
        model: EarlyExitModel,
        prompt_ids: Sequence[int],
        constraint: Constraint | None,
        work: WorkCounter,
        *,
        project: Continuations | None = None,
        pace: JudgingPace | None = None,
    ) -> None:
        self._project, self._pace = project, pace
        self._model, self._prompt_ids, self._constraint, self._work = model, prompt_ids, constraint, work
        self._keeps_chances = constraint is not None or pace is None  # lossless text goes on whatever they are
        self._unsure: dict[int, Array] = {}  # by token: what the head read [1, 1, D]
        self.chances: dict[int, float] = {}

    @property
    def is_due(self) -> bool:
        """Whether so many tokens were chosen from a listing that the whole head should judge them."""
        return len(self._unsure) >= (JUDGED_AT_ONCE if self._pace is None else self._pace.tokens)

    @property
    def first_unsure(self) -> int | None:
        """The first token that was chosen from a listing and not judged yet; None where there is none."""
        return next(iter(self._unsure), None)

    def text_chance(self) -> float:
        """The chance that all tokens so far are right; 1 where that of one is not known."""
        chance = chance_of_all(len(self.chances), self.chances)
        return 1.0 if chance is None else chance

    def note(self, first: int, reading: Reading, rows: range, *, is_judged_later: bool) -> None:
        """Remembers which rows of a reading chose the tokens from `first` on.

        With `is_judged_later` the last layer judges them, and until then nobody need.
        """
        if self._keeps_chances:
            chances = reading.probabilities()
            self.chances.update(zip(range(first, first + len(rows)), (chances[row] for row in rows), strict=True))
        for index, row in enumerate(rows, first):
            if reading.unsure is not None and not is_judged_later:
                self._unsure[index] = reading.unsure[:, row : row + 1]

    def forget(self, n_tokens: int) -> None:
        """Forgets the tokens from `n_tokens` on."""
        self._unsure = {index: row for index, row in self._unsure.items() if index < n_tokens}
        self.chances = {index: chance for index, chance in self.chances.items() if index < n_tokens}

    def first_other(self, said: Sequence[int]) -> tuple[int, int] | None:
        """Judges all unsure tokens by the whole head, in one pass: the first that it chooses otherwise, and what."""
        if not self._unsure:
            return None
        judged, self._unsure = self._unsure, {}
        self._work.verification.head(1.0)
        self._work.verification.head_tokens += len(judged) - 1
        logits = self._model.head(functools.reduce(self._model.concatenate, judged.values()))
        reading = Reading(self._model, [(logits, None)], guesses=[self.guess(said[:index]) for index in judged])
        if self._keeps_chances:
            self.chances.update(zip(judged, reading.probabilities(), strict=True))
        pairs = zip(judged, reading.choices, strict=True)
        other = next(((index, choice) for index, choice in pairs if said[index] != choice), None)
        if self._pace is not None:
            self._pace.note(agreed=other is None)
        return other

    def read(
        self, states: Array, layer: int, said: Sequence[int], counter: PhaseCounter, *, whole: bool = False
    ) -> Reading:
        """Evaluates the head for rows [1, T, D] of an exit, or of the last layer.

        Args:
            states: As `EarlyExitModel.exit_state` gives them.
            layer: The layers behind them.
            said: The tokens before the one that the last row chooses; those before it choose the end of these.
            counter: Charged with the first row.
            whole: Whether to choose from the whole vocabulary; where some may not be chosen, it is read in any case.
        """
        model, n_rows = self._model, states.shape[1]
        allowed = self._allowed(said, n_rows)
        listing = None if whole or allowed is not None else self._listing
        share = 1.0 if listing is None else len(listing.ids) / model.n_vocabulary
        counter.head(share)
        self._work.verification.head_tokens += share * (n_rows - 1)
        mapped = model.mapped(states, layer)
        logits = model.head(mapped, listing)
        first = len(said) - n_rows + 1
        guesses = [self.guess(said[: first + row]) for row in range(n_rows)]
        if allowed is None:
            return Reading(
                model,
                [(logits, None)] if listing is None else [(logits, listing.ids)],
                None if listing is None else mapped,
                guesses,
            )
        rows = [logits[:, row : row + 1] for row in range(n_rows)]
        parts = [(row if ids is None else row[:, :, ids], ids) for row, ids in zip(rows, allowed, strict=True)]
        return Reading(model, parts, guesses=guesses)

    def guess(self, said: Sequence[int]) -> Guess | None:
        """What the project says behind these tokens; None where it knows nothing, or is not asked."""
        if self._project is None:
            return None
        allowed = self._allowed(said, 1)
        return self._project.after(said, None if allowed is None else allowed[0])

    def draft(self, said: Sequence[int], n_tokens: int) -> list[int]:
        """Tokens that may follow: what the project says, as far as it is worth it, else what the text said before."""
        if self._project is None:
            drafts = lookup_draft([*self._prompt_ids, *said], n_tokens)
            return drafts[: self._n_allowed(said, drafts)]
        drafts, chance = [], 1.0
        while len(drafts) < n_tokens:
            guess = self.guess([*said, *drafts])
            chance *= 0.0 if guess is None else guess.chance
            if guess is None or chance < _WORTH_A_ROW:
                break
            drafts.append(guess.token_id)
        return drafts

    def take(self, index: int, guess: Guess) -> None:
        """Remembers that a token is what the project alone said."""
        self.chances[index] = guess.chance

    def _n_allowed(self, said: Sequence[int], drafts: Sequence[int]) -> int:
        """How many of the drafts may be chosen behind the tokens that were said."""
        for n_drafts, draft in enumerate(drafts):
            allowed = self._allowed([*said, *drafts[:n_drafts]], 1)
            if allowed is None or allowed[0] is None:
                break
            if draft not in allowed[0]:
                return n_drafts
        return len(drafts)

    def _allowed(self, said: Sequence[int], n_rows: int) -> list[NDArray[np.int64] | None] | None:
        """What each row may choose; None where each may choose everything."""
        if self._constraint is None:
            return None
        first = len(said) - n_rows + 1
        if self._constraint.allowed(said[:first]) is None:
            return None
        return [self._constraint.allowed(said[: first + row]) for row in range(n_rows)]

    @functools.cached_property
    def _listing(self) -> Listing | None:
        """What a token is chosen from that may be any; the whole head judges it later."""
        return self._model.listing(self._prompt_ids)
