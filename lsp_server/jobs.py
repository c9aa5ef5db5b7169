"""`Job`, a request that waits for its answer, and `Run`, one computation, whose answer may go to a newer job.

Typing on does not make a computation useless where it agrees with what is typed: the newer job takes the older one's
place. Both belong to the event loop's thread. They know no engine, no queue and no thread.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.types import FinishReason
from lsp_server.reuse import Suggestion, agrees, rest_of, typed_since
from lsp_server.seams import CancellationEvent

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from engine.types import Completion, CompletionRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request.

    Attributes:
        document: The document it is about.
        completion_id: Names what is computed for it.
        request: What the engine is asked.
        typed: What has been typed at the place since; None where the document changed in another way.
        answer: To be set once; None for nothing.
    """

    document: str
    completion_id: str
    request: CompletionRequest
    typed: Callable[[], str | None]
    answer: asyncio.Future[Suggestion | None]

    def give_up(self) -> None:
        """Answers with nothing."""
        if not self.answer.done():
            self.answer.set_result(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """What became of one computation.

    Attributes:
        document: The document it was for.
        completion_id: Its name.
        request: What the engine was asked.
        text: Its whole text; None where it was stopped.
        completion: The books' record of it. `completion.text` is what was offered, which is less than `text` where
            some of it had been typed meanwhile, and "" where nobody waited any more; it then counts as cancelled.
    """

    document: str
    completion_id: str
    request: CompletionRequest
    text: str | None
    completion: Completion


class Run:
    """One computation under way.

    Args:
        job: The job it was begun for, and the first to wait for it.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.waiter: Job | None = job
        self.cancellation = CancellationEvent()
        self._text = ""

    def take_over(self, newer: Job) -> bool:
        """Lets a newer job wait in place of the older one, if what was typed since agrees with what is computed."""
        if not self.would_serve(newer.document, newer.request):
            return False
        if self.waiter is not None:
            self.waiter.give_up()
        self.waiter = newer
        return True

    def would_serve(self, document: str, request: CompletionRequest) -> bool:
        """True where the computation may still answer another request."""
        if self.cancellation.is_cancelled or document != self.job.document:
            return False
        typed = typed_since(self.job.request, request)
        return typed is not None and agrees(self._text, typed)

    def grow(self, text: str) -> Job | None:
        """Takes note of the text so far; stops, and returns the waiting job, where that is no longer served."""
        self._text = text
        if self.waiter is None or self.would_serve(self.waiter.document, self.waiter.request):
            return None
        self.cancellation.cancel()
        return self._dismissed()

    def leave(self) -> bool:
        """Leaves the computation without a waiter; True where what is being typed may soon bring a new one."""
        typed = self.job.typed()
        self.waiter = None
        return bool(typed) and agrees(self._text, typed or "")

    def give_up(self) -> None:
        """Stops computing and answers with nothing."""
        self.cancellation.cancel()
        if self.waiter is not None:
            self.waiter.give_up()

    def finish(self, completion: Completion) -> tuple[Computed, Job | None]:
        """Answers the waiting job; returns it instead where the text does not reach beyond what was typed."""
        is_whole = completion.finish_reason is not FinishReason.CANCELLED
        waiter = self.waiter if self.waiter is not None and not self.waiter.answer.done() else None
        typed = typed_since(self.job.request, waiter.request) if waiter is not None else None
        offered = rest_of(completion.text, typed) if typed is not None else ""
        unserved = None
        if waiter is not None and is_whole and typed and not offered:
            unserved = self._dismissed()
        elif waiter is not None:
            waiter.answer.set_result(Suggestion(completion_id=self.job.completion_id, text=offered))
        recorded = replace(completion, text=offered)
        if waiter is None or unserved is not None:
            recorded = replace(recorded, finish_reason=FinishReason.CANCELLED)
        computed = Computed(
            document=self.job.document,
            completion_id=self.job.completion_id,
            request=self.job.request,
            text=completion.text if is_whole else None,
            completion=recorded,
        )
        return computed, unserved

    def _dismissed(self) -> Job | None:
        waiter, self.waiter = self.waiter, None
        return waiter if waiter is not None and not waiter.answer.done() else None
