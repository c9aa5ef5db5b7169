"""The hot path: one completion, token by token, each through segments of layers until the policy leaves them.

At each exit the policy says CONTINUE, EXIT, VERIFY or STOP. A token that exits has no keys and values in the deeper
layers. Either they are propagated from the exit's hidden state at once, or its row *waits* there, and the next row
that goes deeper takes it along. Rows wait at depths that never grow with the position, because whoever goes deeper
takes those before it along; so what runs through a segment is always a batch of consecutive positions, and an ordinary
causal pass fills their keys and values exactly (EE-LLM, arXiv 2312.04916). Where that batch reaches full depth, the
head can judge every waiting row as well: self-speculative verification (LayerSkip, arXiv 2404.16710). Tokens drafted by
lookup run along behind the current row. Wherever the pass ends, at an exit or at full depth, the head runs once for all
of them: as far as its choices equal the drafts, each is a token, and so is the first that does not.

Vocabulary: the *row* of input position p computes the token at position p + 1. A token is *final* once its row no
longer waits. No text, no IO, no logging; only the runner knows what rows are made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.decoding.head import Head
from engine.decoding.pass_exit import PassExit
from engine.decoding.prefill import prefill
from engine.decoding.tokens import DecodedToken
from engine.policy.base import Action, ExitCandidate, Fill
from engine.prefix import common_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.decoding.head import Reading
    from engine.decoding.healing import Constraint
    from engine.decoding.judging_pace import JudgingPace
    from engine.decoding.known_rows import KnownRows
    from engine.decoding.work import PhaseCounter, WorkCounter
    from engine.model.early_exit import EarlyExitModel
    from engine.model.layer_runner import Array, KVCache
    from engine.policy.base import ExitPolicy, OperatingPoint
    from engine.project.continuations import Continuations
    from engine.types import CancellationToken


class Cancelled(Exception):  # noqa: N818 - control flow, not an error
    """The caller no longer wants the answer."""


class Trajectory:
    """The tokens of one completion, and the rows that wait for deeper layers.

    Attributes:
        tokens: Emitted so far; the last `n_waiting` of them are not final.
        stopped: The policy ended the suggestion.
        has_run: Layers have run; until then the cache is as it was, what was said in former runs included.
        fill: How skipped layers are filled in this run.
        head: What chooses the tokens.
        n_prompt: Prompt length in tokens.
    """

    def __init__(
        self,
        model: EarlyExitModel,
        cache: KVCache,
        known: KnownRows,
        work: WorkCounter,
        prompt_ids: Sequence[int],
        *,
        start: int,
        policy: ExitPolicy,
        point: OperatingPoint,
        cancellation: CancellationToken,
        pace: JudgingPace,
        between: Callable[[], None],
        on_read: Callable[[], None],
        constraint: Constraint | None = None,
        project: Continuations | None = None,
    ) -> None:
        self._model, self._cache, self._known, self._work = model, cache, known, work
        self._prompt_ids, self.n_prompt = prompt_ids, len(prompt_ids)
        self.head = Head(model, prompt_ids, constraint, work, project=project, pace=pace if point.lossless else None)
        self._unread: int | None = start  # from where on the prompt is to be read, once a layer is needed
        self.has_run = self.stopped = False
        self._policy, self._point, self._cancellation = policy, point, cancellation
        self._between, self._on_read = between, on_read
        # Inside a word the text may be given up for its chance, which only the whole head says as full depth does.
        self._is_whole = point.whole_head or (point.lossless and constraint is not None)
        self._waiting: dict[int, Array] = {}  # depth -> rows [1, k, D]; deeper rows stand earlier
        self.tokens: list[DecodedToken] = []
        self.fill = Fill.EXACT if point.lossless else point.fill

    @property
    def n_waiting(self) -> int:
        """Rows that wait for deeper layers."""
        return sum(rows.shape[1] for rows in self._waiting.values())

    @property
    def n_final(self) -> int:
        """Tokens that nothing can take back."""
        n_run, first_unsure = len(self.tokens) - self.n_waiting, self.head.first_unsure
        return n_run if first_unsure is None else min(n_run, first_unsure)

    def advance(self) -> None:
        """One step: emits tokens, or takes back drafts and emits the right one, or lets the policy stop.

        Raises:
            Cancelled: At an exit candidate, or between two segments of a chunk of the prompt.
        """
        if self.head.is_due and not self._judge():
            return
        said = [token.token_id for token in self.tokens]
        if self._ends_at_zero(said) or self._say_again(said):
            return
        if self._unread is not None:
            self._read_prompt(self._unread, said)
            return
        ids = [*self._prompt_ids, *said]
        drafts = self.head.draft(said, min(self._point.lookup, self._model.max_positions - len(ids)))
        rows = self._model.embed([ids[-1], *drafts], len(ids) - 1)
        self._work.decode.tokens += 1
        self._work.verification.tokens += len(drafts)
        for index, (start, stop) in enumerate(self._model.segments[:-1]):
            rows = self._run(rows, start, stop, self._work.decode)
            asked = rows[:, -1 - len(drafts) :]
            exit_ = PassExit(self._model, self.head, asked, said=said, drafts=drafts, layer=stop, work=self._work)
            if self._ends_pass(exit_, index, rows, drafts):
                return
        self._finish(rows, drafts, len(self._model.segments) - 1, self._work.decode, check=self._point.lossless)

    def _ends_pass(self, exit_: PassExit, exit_index: int, rows: Array, drafts: Sequence[int]) -> bool:
        """Does what the policy says at an exit; False where the pass goes on to the next one."""
        n_before = rows.shape[1] - 1 - len(drafts)  # rows that have emitted their token
        match self._decide(exit_, exit_index, n_before):
            case Action.EXIT:
                reading, n_chosen = exit_.read(), len(exit_.tokens())
                self._emit(len(self.tokens), reading, range(n_chosen), exit_.layer)
                self._leave(rows[:, : n_before + n_chosen], exit_.layer)
            case Action.VERIFY:
                self._finish(rows, drafts, exit_index + 1, self._work.decode, check=True)
            case Action.STOP:
                if n_before:
                    self._wait(rows[:, :n_before], exit_.layer)
                self.stopped = True
            case Action.CONTINUE:
                return False
        return True

    def cut(self, n_tokens: int) -> None:
        """Forgets the tokens from `n_tokens` on, and the rows that wait for them."""
        excess = len(self.tokens) - n_tokens
        for depth in sorted(self._waiting):  # the latest rows wait at the least depth
            rows = self._waiting.pop(depth)
            if excess < rows.shape[1]:
                self._waiting[depth] = rows[:, : rows.shape[1] - excess]
            excess = max(0, excess - rows.shape[1])
        del self.tokens[n_tokens:]
        self.head.forget(n_tokens)
        if self.has_run:
            self._crop(self._n_run)

    def settle(self) -> bool:
        """Makes every token final at the end of the text; False where verification took some back.

        Raises:
            Cancelled: Between two segments.
        """
        before = len(self.tokens), self.tokens[-1]
        if self._point.lossless and self._waiting:
            self._finish(None, [], 0, self._work.verification, check=True)
        if not self._judge():
            self.stopped = False
            return False
        self._waiting.clear()
        accepted = before == (len(self.tokens), self.tokens[-1])
        self.stopped = self.stopped and accepted
        return accepted

    def _ends_at_zero(self, said: Sequence[int]) -> bool:
        """True where this step runs no layer: the project says the next token, or the text may take no layer."""
        if self._take_from_project(said):
            return True
        self.stopped = self.stopped or not self._point.runs_layers
        return not self._point.runs_layers

    def _take_from_project(self, said: Sequence[int]) -> bool:
        """Takes the next token from the project, before any layer, where it is sure enough; its row waits there."""
        least_chance = self._point.zero_chance
        if least_chance is None or self._point.lossless or (guess := self.head.guess(said)) is None:
            return False
        position = self.n_prompt + len(said) - 1
        if guess.chance < least_chance or position + 1 >= self._model.max_positions:
            return False
        self._check_cancelled()
        if self._unread is None and self._known_row(said) is None:
            self._wait(self._model.embed([(said or self._prompt_ids)[-1]], position), 0)
            self._work.decode.tokens += 1
        self.head.take(len(self.tokens), guess)
        self.tokens.append(DecodedToken(guess.token_id, 0))
        return True

    def _say_again(self, said: Sequence[int]) -> bool:
        """Emits the next token without a layer where a former run has been here; False where none has."""
        if (row := self._known_row(said)) is None:
            return False
        self._check_cancelled()
        self._unread = None
        self._emit(len(said), self._read_last(row, said, self._work.decode), range(1), 0)
        return True

    def _known_row(self, said: Sequence[int]) -> Array | None:
        if self.has_run or (self._unread is not None and self._unread < self.n_prompt):
            return None
        return self._known.behind(self.n_prompt, said)

    def _read_prompt(self, start: int, said: Sequence[int]) -> None:
        """Runs the prompt from `start` on at full depth, with what was said since, and emits the next token."""
        self.has_run, start = True, min(start, self.n_prompt + len(said) - 1)
        self._crop(start)
        rows = prefill(
            self._model,
            self._cache,
            [*self._prompt_ids, *said][start:],
            position=start,
            far_depth=self._point.prompt_depth,
            work=self._work,
            check=self._check_cancelled,
            between=self._between,
        )
        self._on_read()
        self._unread = None
        self._known.note(self.n_prompt + len(said), rows[:, -1 - len(said) :])
        self._work.prefill.prefill_tokens -= len(said)  # rows that were taken along are no part of the prompt
        self._work.verification.layer_tokens += len(said) * self._model.n_layers
        self._work.decode.tokens += len(said)
        self._emit(len(said), self._read_last(rows[:, -1:], said, self._work.decode), range(1), self._model.n_layers)

    @property
    def _n_run(self) -> int:
        """Positions whose row has been run: all but that of the last token."""
        return self.n_prompt + len(self.tokens) - 1

    def _check_cancelled(self) -> None:
        if self._cancellation.is_cancelled:
            raise Cancelled

    def _run(self, rows: Array | None, start: int, stop: int, counter: PhaseCounter) -> Array:
        """Runs one segment for `rows`, if any, and for the rows that wait at its start, which stand before them."""
        self._check_cancelled()
        if not self.has_run:
            self.has_run = True
            self._crop(self._n_run - self.n_waiting)
        before = self._waiting.pop(start, None)
        if before is not None:
            rows = before if rows is None else self._model.concatenate(before, rows)
        assert rows is not None
        n_rows, position = rows.shape[1], self._cache.lengths[start]
        counter.layers(passes=stop - start, context=position + n_rows)
        self._work.verification.further(passes=stop - start, rows=n_rows - 1, start=position)
        return self._model.run_layers(rows, start, stop, self._cache)

    def _decide(self, exit_: PassExit, exit_index: int, n_before: int) -> Action:
        n_waiting = self.n_waiting + n_before
        candidate = ExitCandidate(
            hidden=exit_.observe,
            exit_index=exit_index,
            exit_layer=exit_.layer,
            n_waiting=n_waiting,
            n_emitted=len(self.tokens),
            n_drafts=exit_.n_drafts,
            energy_weight=self._point.energy_weight,
            text_chance=self.head.text_chance,
            guess_chance=exit_.guess_chance,
            probability=exit_.probability,
            tokens=exit_.would_emit,
        )
        action = self._policy.decide(candidate)
        if action is Action.EXIT and self.fill is Fill.EXACT and n_waiting >= self._point.max_waiting:
            return Action.VERIFY if self._point.lossless else Action.CONTINUE
        return action

    def _leave(self, rows: Array, layer: int) -> None:
        """Ends the pass at an exit for rows that have emitted their tokens; forgets the refused drafts behind them."""
        self._crop(self._n_run)
        if self.fill is Fill.PROPAGATE:
            self._model.propagate(rows, layer, self._cache)
            self._work.decode.propagated_layers += (self._model.n_layers - layer) * rows.shape[1]
        else:
            self._wait(rows, layer)

    def _wait(self, rows: Array, depth: int) -> None:
        before = self._waiting.get(depth)
        self._waiting[depth] = rows if before is None else self._model.concatenate(before, rows)

    def _finish(
        self, rows: Array | None, drafts: Sequence[int], first_segment: int, counter: PhaseCounter, *, check: bool
    ) -> None:
        """Runs the remaining segments for `rows` and all waiting ones, and emits what the last layer says.

        The last `len(drafts) + 1` rows are those of the current token and of the drafts behind it; without `rows` only
        the waiting ones run. With `check`, the first row before them whose token the last layer contradicts gets the
        right token, and everything behind it is taken back.

        Two waiting rows, the current one and three drafts, with `check`, are six choices: two are compared with tokens
        that exits emitted, three with the drafts, and the last emits one more.
        """
        n_new = 0 if rows is None else 1 + len(drafts)
        for start, stop in self._model.segments[first_segment:]:
            if rows is not None or start in self._waiting:
                rows = self._run(rows, start, stop, counter)
        assert rows is not None
        n_layers = self._model.n_layers
        self._known.note(self._cache.lengths[-1], rows)
        said = [*(token.token_id for token in self.tokens), *drafts]
        reading = self._read_last(rows if check else rows[:, -n_new:], said if n_new else said[:-1], counter)
        choices = reading.choices
        n_rechecked = len(choices) - n_new
        first = len(self.tokens) - n_rechecked
        n_right = common_prefix(choices, said[first:])
        n_kept = min(n_right, n_rechecked)
        if self._point.lossless:  # what exits said and the last layer confirms, by the listing so far
            self.head.note(first, reading, range(n_kept), is_judged_later=False)
        self._emit(first + n_kept, reading, range(n_kept, min(n_right + 1, len(choices))), n_layers)
        self._crop(self._n_run)

    def _crop(self, length: int) -> None:
        self._cache.crop(length)
        self._known.crop(length)

    def _read_last(self, rows: Array, said: Sequence[int], counter: PhaseCounter) -> Reading:
        """What the last layer says for each of `rows`, the last of which stands behind `said`."""
        model = self._model
        states = model.exit_state(rows, model.n_layers)
        return self.head.read(states, model.n_layers, said, counter, whole=self._is_whole)

    def _emit(self, first: int, reading: Reading, rows: range, layer: int) -> None:
        """Makes what these rows of a reading chose the tokens from `first` on; `layer` is 0 for rows known before."""
        self.tokens[first:] = [DecodedToken(reading.choices[row], layer) for row in rows]
        self.head.forget(first)
        at_exit = 0 < layer < self._model.n_layers
        self.head.note(first, reading, rows, is_judged_later=at_exit and self._point.lossless)

    def _judge(self) -> bool:
        """Has the whole head judge what was chosen from the listing; False where another token takes a place."""
        other = self.head.first_other([token.token_id for token in self.tokens])
        if other is None:
            return True
        index, token_id = other
        layer = self.tokens[index].exit_layer
        self.cut(index + 1)
        self.tokens[index] = DecodedToken(token_id, layer)
        return False
