"""`Job`, a request that waits for its answer, and `Run`, one computation, whose answer may go to a newer job.

Typing on does not make a computation useless where it agrees with what is typed: the newer job takes the older one's
place. Both belong to the event loop's thread, but for `Run.grow`. They know no engine, no queue and no thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from engine.types import FinishReason
from lsp_server.suggest.reuse import Suggestion, agrees, rest_of, still_offered, typed_between
from lsp_server.suggest.seams import CancellationEvent

if TYPE_CHECKING:
    import asyncio

    from engine.types import Completion, CompletionRequest

TypedSince = Callable[[], "str | None"]
"""Says what has been typed at a place since; None where the document changed in another way."""


class Unserved(Enum):
    """The answer to a job that waited for another's computation and cannot use it: it has to ask for its own."""

    UNSERVED = "unserved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request.

    Attributes:
        uri: The document it is about.
        completion_id: Names what is computed for it.
        request: What the engine is asked.
        typed_since: Says what has been typed at the place since; None where that cannot be known.
        answer: To be set once; None for nothing.
    """

    uri: str
    completion_id: str
    request: CompletionRequest
    typed_since: TypedSince | None
    answer: asyncio.Future[Suggestion | Unserved | None]

    def give_up(self) -> None:
        """Answers with nothing."""
        if not self.answer.done():
            self.answer.set_result(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """What became of one computation.

    Attributes:
        uri: The document it was for.
        completion_id: Its name.
        request: What the engine was asked.
        text: Its whole text; None where it was stopped.
        completion: The books' record of it. `completion.text` is what was offered, which is less than `text` where
            some of it had been typed meanwhile, and "" where nobody waited any more; it then counts as cancelled.
    """

    uri: str
    completion_id: str
    request: CompletionRequest
    text: str | None
    completion: Completion


class Run:
    """One computation under way.

    Args:
        job: The job it was begun for, and the first to wait for it.
        is_begun: False where others may have their turn first; then the first text, be it "", tells that it is.
    """

    def __init__(self, job: Job, *, is_begun: bool = True) -> None:
        self.job = job
        self._is_begun = is_begun
        self.waiter: Job | None = job
        self.cancellation = CancellationEvent()
        self._text = ""

    def take_over(self, newer: Job) -> bool:
        """Lets a newer job wait in place of the older one, if the text typed since agrees with the text computed."""
        if not self.would_serve(newer.uri, newer.request):
            return False
        if self.waiter is not None:
            self.waiter.give_up()
        self.waiter = newer
        return True

    def would_serve(self, uri: str, request: CompletionRequest) -> bool:
        """True where the computation may still answer another request."""
        if self.cancellation.is_cancelled or uri != self.job.uri or not self._is_begun:
            return False  # where nothing is done yet, the newer one had better be asked
        typed = typed_between(self.job.request, request)
        # No text yet agrees with any typing: half of such texts do serve, and for the others the prompt is read at
        # least, while the person pauses; measured against starting anew: engine/LOG.md, "Length and shape: behind an
        # accepted suggestion, where blocks end, and typing while nothing is known yet".
        return typed is not None and agrees(self._text, typed)

    def grow(self, text: str) -> bool:
        """Keeps the text so far. From the engine's thread.

        Returns:
            Whether a newer job waits, so that `judge` may find that the text does not serve it. Each token would else
            wake the event loop, for nothing.
        """
        self._text, self._is_begun = text, True
        return self.waiter is not None and self.waiter is not self.job

    def judge(self) -> None:
        """Cancels the run where its text does not serve the waiting job."""
        if self.waiter is not None and not self.would_serve(self.waiter.uri, self.waiter.request):
            self.cancellation.cancel()
            self._dismiss()

    def leave(self) -> bool:
        """Leaves the computation without a waiter; True where what is being typed may soon bring a new one."""
        typed = self.job.typed_since() if self.job.typed_since is not None else None
        self.waiter = None
        return bool(typed) and agrees(self._text, typed or "")

    def give_up(self) -> None:
        """Stops computing and answers with nothing."""
        self.cancellation.cancel()
        if self.waiter is not None:
            self.waiter.give_up()

    def finish(self, completion: Completion) -> Computed:
        """Answers the waiting job, if there is something left for it, and says what goes into the books."""
        is_whole = completion.finish_reason is not FinishReason.CANCELLED
        waiter = self.waiter if self.waiter is not None and not self.waiter.answer.done() else None
        typed = typed_between(self.job.request, waiter.request) if waiter is not None else None
        offered = rest_of(completion.text, typed) if typed is not None else ""
        if is_whole and typed and not offered:
            self._dismiss()
            waiter = None
        elif waiter is not None:
            offered = still_offered(offered, waiter.request) if typed else offered
            waiter.answer.set_result(Suggestion(completion_id=self.job.completion_id, text=offered))
        recorded = replace(completion, text=offered)
        if waiter is None:
            recorded = replace(recorded, finish_reason=FinishReason.CANCELLED)
        return Computed(
            uri=self.job.uri,
            completion_id=self.job.completion_id,
            request=self.job.request,
            text=completion.text if is_whole else None,
            completion=recorded,
        )

    def _dismiss(self) -> None:
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.answer.done():
            waiter.answer.set_result(Unserved.UNSERVED)
