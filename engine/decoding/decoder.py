"""Prefill, then token after token until something ends the text; the KV cache outlives the request.

What happens inside one token (exits, waiting, verification) is `engine.decoding.trajectory`. This module knows no
text and no editor: token ids in, final token ids out. Greedy, batch 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.decoding.judging_pace import JudgingPace
from engine.decoding.known_rows import KnownRows
from engine.decoding.trajectory import Cancelled, Trajectory
from engine.decoding.work import WorkCounter
from engine.policy.base import PLAIN_DECODING, Fill
from engine.policy.baselines import FullDepth
from engine.prefix import common_prefix
from engine.types import FinishReason, NeverCancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from engine.decoding.healing import Constraint
    from engine.decoding.stopping import StopCondition
    from engine.decoding.tokens import DecodedToken
    from engine.model.early_exit import EarlyExitModel
    from engine.policy.base import ExitPolicy, OperatingPoint
    from engine.project.continuations import Continuations
    from engine.types import CancellationToken


class Decoder:
    """One document's decoding state. Not for use by two threads at once.

    Attributes:
        work: What the current or last request computed.
        reused_tokens: Prompt tokens that it found in the cache.
        finish_reason: Why it ended.
        n_decoded: Tokens decoded, an end token included, drafts that were taken back not.
        chances: The chance of each token among those that could have been chosen, where it is known.
        is_busy: It is generating.
    """

    def __init__(self, model: EarlyExitModel, *, keeps_rows: bool = False) -> None:
        """Makes a decoder with an empty cache.

        Args:
            model: Computes.
            keeps_rows: Whether what was computed for one request serves the next that asks at the same place, or says
                the same behind it. Without, only keys and values of the prompt are kept: requests can be compared.
        """
        self._model = model
        self._cache = model.new_cache()
        self._known = KnownRows(keeps_rows=keeps_rows)
        self._inexact_from: int | None = None  # position whose deepest keys and values come from an exit's state
        self._pace = JudgingPace() if keeps_rows else None
        self.work = WorkCounter()
        self.reused_tokens = 0
        self.finish_reason = FinishReason.STOP
        self.n_decoded = 0
        self.chances: Mapping[int, float] = {}
        self.is_busy = False

    @property
    def cached_ids(self) -> Sequence[int]:
        """The ids behind every filled position of the cache."""
        return self._known.ids

    @property
    def cache_bytes(self) -> int:
        """Memory that the cache holds."""
        return self._cache.nbytes

    def generate(
        self,
        prompt_ids: Sequence[int],
        *,
        policy: ExitPolicy,
        point: OperatingPoint,
        stop: StopCondition,
        cancellation: CancellationToken,
        between: Callable[[], None] = lambda: None,
        on_read: Callable[[], None] = lambda: None,
        constraint: Constraint | None = None,
        project: Continuations | None = None,
    ) -> Iterator[DecodedToken]:
        """Continues the prompt greedily, yielding tokens once nothing can take them back.

        `work`, `reused_tokens` and `finish_reason` are complete when the iterator is exhausted or closed.

        Args:
            prompt_ids: Without any there is nothing to continue, and nothing is decoded.
            policy: Asked at every exit candidate.
            point: What the user's slider means.
            stop: When to end.
            cancellation: Asked at every exit candidate and between the segments of a prefill chunk.
            between: Called between those segments; other decoders may be used there.
            on_read: Called once what was not known of the prompt has been read.
            constraint: What may be chosen; None for everything.
            project: What the project says of the same text; None where the model is alone.
        """
        self.work, self.n_decoded = WorkCounter(), 0
        if point.lossless and self._inexact_from is not None:
            self._crop(self._inexact_from)
        self.reused_tokens = common_prefix(prompt_ids, self._known.ids)
        if not prompt_ids:
            self.finish_reason = FinishReason.STOP
            return
        if self.reused_tokens < len(prompt_ids) or self._known.behind(len(prompt_ids), []) is None:
            # The last prompt token's row chooses the first new token, and has to be computed.
            self.reused_tokens = min(self.reused_tokens, len(prompt_ids) - 1)
            self._crop(self.reused_tokens)
        run = Trajectory(
            self._model,
            self._cache,
            self._known,
            self.work,
            prompt_ids,
            start=self.reused_tokens,
            policy=policy,
            point=point,
            cancellation=cancellation,
            pace=self._pace or JudgingPace(),
            between=between,
            on_read=on_read,
            constraint=constraint,
            project=project,
        )
        self.finish_reason = FinishReason.CANCELLED  # also where the caller closes the iterator
        self.is_busy = True
        try:
            yield from self._final_tokens(run, stop)
        except Cancelled:
            return
        except Exception:
            self._crop(0)  # which layers a failed runner has filled, and how, nobody knows
            raise
        finally:
            self.is_busy = False
            self.n_decoded, self.chances = len(run.tokens), run.head.chances
            self._keep_usable_positions(run, [*prompt_ids, *(token.token_id for token in run.tokens)])

    def decode_plainly(self, prompt_ids: Sequence[int], stop: StopCondition) -> list[int]:
        """All token ids at full depth with a KV cache: what every other way to decode is compared with."""
        tokens = self.generate(
            prompt_ids, policy=FullDepth(), point=PLAIN_DECODING, stop=stop, cancellation=NeverCancelled()
        )
        return [token.token_id for token in tokens]

    def _final_tokens(self, run: Trajectory, stop: StopCondition) -> Iterator[DecodedToken]:
        n_yielded = n_judged = 0
        while True:
            reason, n_judged = _finish_reason(run, stop, n_judged), len(run.tokens)
            if reason is None:
                yield from run.tokens[n_yielded : run.n_final]
                n_yielded = max(n_yielded, run.n_final)
                run.advance()
            elif not run.tokens:
                self.finish_reason = reason
                return
            elif run.settle():
                break
            n_judged = max(0, min(n_judged, len(run.tokens) - 1))  # the last token may be new at an old place
        end = len(run.tokens) - (run.tokens[-1].token_id in stop.end_ids)
        yield from run.tokens[n_yielded:end]
        self.finish_reason = reason

    def _keep_usable_positions(self, run: Trajectory, ids: list[int]) -> None:
        """Keeps what later requests may reuse, and where of it begins what was read at an exit.

        Deferred fills are exact, so whatever reached every layer may be reused; propagated positions of a text may not.
        A prompt's far tokens that left at an exit are reused above green mode 0; a lossless request reads them anew.
        """
        exact = min(self._cache.lengths)
        if run.has_run:
            exact = min(exact, run.n_prompt) if run.fill is Fill.PROPAGATE else exact
            self._known.ids = ids
        self._crop(exact)
        if self.work.left_out.layer_passes and self._inexact_from is None:
            self._inexact_from = self.reused_tokens

    def _crop(self, length: int) -> None:
        self._cache.crop(length)
        self._known.crop(length)
        if self._inexact_from is not None and self._inexact_from >= length:
            self._inexact_from = None


def _finish_reason(run: Trajectory, stop: StopCondition, n_judged: int) -> FinishReason | None:
    """Why the text ends, if it does; tokens behind the first end after `n_judged` tokens are forgotten."""
    ids = [token.token_id for token in run.tokens]
    for n_tokens in range(n_judged + 1, len(ids) + 1):
        reason = stop.reason_to_end(ids[:n_tokens], run.head.chances)
        if reason is not None:
            if n_tokens < len(ids):
                run.cut(n_tokens)
            return reason
    return FinishReason.POLICY if run.stopped else None
