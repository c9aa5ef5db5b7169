"""`PassExit`: one exit of one pass, read only where somebody asks. It decides nothing, and knows no cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.prefix import common_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from engine.decoding.head import Head, Reading
    from engine.decoding.work import PhaseCounter, WorkCounter
    from engine.model.early_exit import EarlyExitModel
    from engine.model.layer_runner import Array


class PassExit:
    """One exit of one pass, for the current row and the drafts behind it.

    Its norm and its head are evaluated at most once, for all these rows together, and only when somebody asks.

    Attributes:
        layer: Layers run so far.
        n_drafts: Drafts behind the current row.
    """

    def __init__(
        self,
        model: EarlyExitModel,
        head: Head,
        rows: Array,
        *,
        said: Sequence[int],
        drafts: Sequence[int],
        layer: int,
        work: WorkCounter,
    ) -> None:
        self.layer, self.n_drafts = layer, len(drafts)
        self._model, self._head, self._work = model, head, work
        self._rows, self._said, self._drafts = rows, said, drafts
        self._states: Array | None = None  # [1, 1 + n_drafts, D]
        self._reading: Reading | None = None

    def observe(self) -> NDArray[np.float32]:
        """The current row's normed hidden state [D], for a policy that looks at it."""
        self._work.policy.policy_checks += 1
        return self._model.to_numpy(self._normed()[0, 0])

    def guess_chance(self) -> float:
        """The chance that the project alone would have the current row's token right; 0 where it knows nothing."""
        guess = self._head.guess(self._said)
        return 0.0 if guess is None else guess.chance

    def tokens(self) -> list[int]:
        """The tokens that are emitted here: the drafts that this exit chooses as well, and one of its own."""
        return self._accepted(self._work.decode)

    def would_emit(self) -> list[int]:
        """The same, charged to the policy."""
        return self._accepted(self._work.policy)

    def probability(self) -> float:
        """The least probability among these tokens, charged to the policy."""
        n_tokens = len(self.would_emit())
        return min(self._read(self._work.policy).probabilities()[:n_tokens])

    def read(self) -> Reading:
        """What the head says here, of the current row and the drafts."""
        return self._read(self._work.decode)

    def _accepted(self, counter: PhaseCounter) -> list[int]:
        choices = self._read(counter).choices
        return choices[: common_prefix(choices, self._drafts) + 1]

    def _read(self, counter: PhaseCounter) -> Reading:
        """What the head says; it is charged to `counter` if nobody asked before."""
        if self._reading is None:
            said = [*self._said, *self._drafts]
            self._reading = self._head.read(self._normed(), self.layer, said, counter)
        return self._reading

    def _normed(self) -> Array:
        if self._states is None:
            self._states = self._model.exit_state(self._rows, self.layer)
        return self._states
