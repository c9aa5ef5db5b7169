"""`Continuations`: what a project says of one completion, token after token. One thread at a time.

It asks the project's other files and the document itself, up to the cursor, for what followed the same tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.project.contexts import LONGEST, LinearContexts
from engine.project.followers import Followers, followers, longest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from engine.project.project_text import ProjectFiles
    from engine.project.trust import ProjectTrust

_ROOM = 256  # tokens that are appended before the document is copied


@dataclass(frozen=True, slots=True)
class Guess:
    """What a project says of the next token.

    Attributes:
        token_id: The token that it would choose without a model.
        chance: The chance that this is right.
        files: What its other files say.
        document: What the document says.
    """

    token_id: int
    chance: float
    files: Followers | None
    document: Followers | None
    _trust: ProjectTrust

    @property
    def token_ids(self) -> list[int]:
        """The tokens that it knows of."""
        return [*dict.fromkeys(token_id for found in (self.files, self.document) if found for token_id in found.ids)]

    def mixed(self, model_choice: int, model_chance: float, model_chances: dict[int, float]) -> tuple[int, float]:
        """The most likely token of the mixture with a model, and its chance there.

        Args:
            model_choice: What the model alone would choose.
            model_chance: With which chance.
            model_chances: The model's chance of each of `token_ids`.
        """
        of_model, of_files, of_document = self._trust.weights(self.files, self.document, model_chance)

        def chance(token_id: int, by_model: float) -> float:
            by_files = self.files.share_of(token_id) if self.files else 0.0
            by_document = self.document.share_of(token_id) if self.document else 0.0
            return of_model * by_model + of_files * by_files + of_document * by_document

        candidates = {**model_chances, model_choice: model_chance}
        best = max(candidates, key=lambda token_id: chance(token_id, candidates[token_id]))
        return best, chance(best, candidates[best])


class Continuations:
    """What a project says behind one prompt.

    Args:
        files: The project's other files.
        trust: How far to trust them.
        prompt_ids: The prompt; the document, as far as the model reads it.
        n_vocabulary: Tokens that the model knows.
        aside: Other parts of the document.
    """

    def __init__(
        self,
        files: ProjectFiles,
        trust: ProjectTrust,
        prompt_ids: Sequence[int],
        n_vocabulary: int,
        *,
        aside: Sequence[NDArray[np.int64]] = (),
    ) -> None:
        self._files, self._trust, self._n_vocabulary = files, trust, n_vocabulary
        self._aside = [LinearContexts(ids) for ids in aside]
        self._n_prompt = len(prompt_ids)
        self._ids = np.zeros(len(prompt_ids) + _ROOM, np.int64)
        self._ids[: len(prompt_ids)] = prompt_ids
        self._known: dict[tuple[int, ...], Guess | None] = {}

    def after(self, said: Sequence[int], allowed: NDArray[np.int64] | None = None) -> Guess | None:
        """What it says behind the prompt and the tokens said since; None where it knows nothing.

        Args:
            said: The tokens since the prompt.
            allowed: Ids that may follow, the same for the same tokens; None where all may.
        """
        key = tuple(said)
        if key not in self._known:
            self._known[key] = self._look(key, allowed)
        return self._known[key]

    def _look(self, said: tuple[int, ...], allowed: NDArray[np.int64] | None) -> Guess | None:
        end = self._n_prompt + len(said)
        if end > len(self._ids):
            self._ids = np.concatenate((self._ids, np.zeros(end, np.int64)))
        self._ids[self._n_prompt : end] = said
        document = self._ids[:end]
        last = document[-LONGEST:].tolist()
        if not last:
            return None
        may_follow = None
        if allowed is not None:
            may_follow = np.zeros(max(self._n_vocabulary, self._files.border) + 1, np.bool_)
            may_follow[allowed] = True
        here = longest(
            followers(contexts, last, n_vocabulary=self._n_vocabulary, allowed=may_follow)
            for contexts in (LinearContexts(document), *self._aside)
        )
        there = self._files.followers(last, may_follow)
        best = self._trust.best(there, here)
        return None if best is None else Guess(*best, there, here, self._trust)
