"""`CompletionScheduler`: one engine, one thread, and who may use it next.

The newest request of a document wins: an older one is answered with nothing at once, and stops computing if it
had begun. Requests of several documents wait their turn. It knows no LSP, no ledger and no torch; all its state
lives on the event loop's thread, except the engine itself, which only the engine thread touches.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from engine.errors import EngineError
from engine.types import FinishReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.config import EngineConfig
    from engine.types import CancellationToken, Completion, CompletionRequest, ProgressSink

logger = logging.getLogger(__name__)

PROGRESS_PERIOD_S = 0.2  # a download reports thousands of times; people read a few of them


class MeterReport(Protocol):
    """How joules are had."""

    @property
    def source(self) -> str:
        """The meter or model in use, for people."""
        ...

    @property
    def refused(self) -> tuple[str, ...]:
        """Why each better meter is not in use, one sentence each."""
        ...


class CompletionEngine(Protocol):
    """What the server needs of `engine.engine.Engine`."""

    @property
    def model_name(self) -> str:
        """The model in use."""
        ...

    @property
    def device_name(self) -> str:
        """Where it runs, for people."""
        ...

    @property
    def layers_total(self) -> int:
        """Layers of the model."""
        ...

    @property
    def meter_report(self) -> MeterReport:
        """How joules are had."""
        ...

    def complete(self, request: CompletionRequest, *, cancellation: CancellationToken) -> Completion:
        """Blocks until the text is there; raises `EngineError`."""
        ...

    def close(self) -> None:
        """Gives back memory and meters."""
        ...


class EngineFactory(Protocol):
    """Loads an engine; blocks, possibly for a download; raises `EngineError`."""

    def __call__(self, config: EngineConfig, progress: ProgressSink, /) -> CompletionEngine:
        """Builds the engine."""
        ...


class CancellationEvent:
    """A `CancellationToken` that is set on the event loop and polled on the engine thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def is_cancelled(self) -> bool:
        """True once `cancel` was called."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Asks whoever polls to stop."""
        self._event.set()


@dataclass(slots=True, kw_only=True)
class _Job:
    document: str
    completion_id: str
    request: CompletionRequest
    answer: asyncio.Future[Completion | None]
    cancellation: CancellationEvent = field(default_factory=CancellationEvent)

    def give_up(self) -> None:
        """Answers with nothing and stops the computing."""
        self.cancellation.cancel()
        if not self.answer.done():
            self.answer.set_result(None)


class _LoadGivenUpError(Exception):
    """Raised inside a load that nobody waits for any more."""


class CompletionScheduler:
    """Owns the engine and its thread.

    Args:
        engine_factory: Loads an engine.
        on_completion: Called on the event loop with (completion id, completion) for everything that was computed,
            also for answers that came too late; those have `finish_reason` CANCELLED and no text.
        on_busy: Called on the event loop with whether a request is being computed.
    """

    def __init__(
        self,
        engine_factory: EngineFactory,
        on_completion: Callable[[str, Completion], None],
        on_busy: Callable[[bool], None],
    ) -> None:
        self._engine_factory = engine_factory
        self._on_completion = on_completion
        self._on_busy = on_busy
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        self._engine: CompletionEngine | None = None  # the one requests go to; None while there is none
        self._resident: CompletionEngine | None = None  # the one in memory; the engine thread's own
        self._pending: dict[str, _Job] = {}  # by document, oldest first
        self._running: _Job | None = None
        self._run_task: asyncio.Task[None] | None = None

    @property
    def engine(self) -> CompletionEngine | None:
        """The engine that answers; None before it is loaded and after a load failed."""
        return self._engine

    async def load(self, config: EngineConfig, progress: ProgressSink) -> CompletionEngine:
        """Replaces the engine; until it returns, requests are answered with nothing.

        Cancelling it gives the load up at its next progress report.

        Args:
            config: Which model, where.
            progress: Called on the event loop, a few times per second at most.

        Raises:
            EngineError: It could not be loaded, in the user's words.
        """
        self._engine = None
        self.cancel_all()
        loop = asyncio.get_running_loop()
        cancellation = CancellationEvent()

        def forward(message: str, done: int, total: int | None) -> None:
            loop.call_soon_threadsafe(progress, message, done, total)

        sink = _throttled(forward, cancellation)
        try:
            self._engine = await loop.run_in_executor(self._executor, self._replace_engine, config, sink, cancellation)
        except asyncio.CancelledError:
            cancellation.cancel()
            raise
        return self._engine

    async def complete(self, document: str, completion_id: str, request: CompletionRequest) -> Completion | None:
        """Computes a completion unless a newer request of the same document comes first.

        Cancelling it stops the decoder at its next exit candidate; a request that still waits never reaches the
        engine.

        Returns:
            The completion; None when a newer request took its place or there is no engine.

        Raises:
            EngineError: The engine failed on this request, in the user's words.
        """
        if self._engine is None:
            return None
        self.cancel(document)
        job = _Job(
            document=document,
            completion_id=completion_id,
            request=request,
            answer=asyncio.get_running_loop().create_future(),
        )
        self._pending[document] = job
        self._start_next()
        try:
            return await job.answer
        except asyncio.CancelledError:
            job.cancellation.cancel()
            if self._pending.get(document) is job:
                del self._pending[document]
            raise

    def cancel(self, document: str) -> None:
        """Gives up what a document has asked."""
        if (waiting := self._pending.pop(document, None)) is not None:
            waiting.give_up()
        if self._running is not None and self._running.document == document:
            self._running.give_up()

    def cancel_all(self) -> None:
        """Gives up everything."""
        for document in [*self._pending, *([self._running.document] if self._running else [])]:
            self.cancel(document)

    async def close(self, timeout_s: float) -> bool:
        """Cancels what runs, closes the engine and ends its thread.

        Returns:
            False when the engine thread was still busy after `timeout_s` seconds (deep inside a load).
        """
        self._engine = None
        self.cancel_all()
        loop = asyncio.get_running_loop()
        closed = loop.run_in_executor(self._executor, self._close_resident)
        self._executor.shutdown(wait=False)
        tasks = {closed, self._run_task} if self._run_task else {closed}
        _, unfinished = await asyncio.wait(tasks, timeout=timeout_s)
        return not unfinished

    def _start_next(self) -> None:
        if self._running is None and self._pending and self._engine is not None:
            self._running = self._pending.pop(next(iter(self._pending)))
            self._run_task = asyncio.create_task(self._run(self._running, self._engine))
        self._on_busy(self._running is not None)

    async def _run(self, job: _Job, engine: CompletionEngine) -> None:
        call = partial(engine.complete, job.request, cancellation=job.cancellation)
        try:
            completion = await asyncio.get_running_loop().run_in_executor(self._executor, call)
        except Exception as error:  # one request's failure must not take the next one's engine
            self._running = None
            _fail(job, error)
        else:
            self._running = None
            self._answer(job, completion)
        self._start_next()

    def _answer(self, job: _Job, completion: Completion) -> None:
        if job.answer.done() and completion.finish_reason is not FinishReason.CANCELLED:
            completion = replace(completion, text="", finish_reason=FinishReason.CANCELLED)
        try:
            self._on_completion(job.completion_id, completion)
        except Exception:
            logger.exception("Completion %s could not be recorded", job.completion_id)
        if not job.answer.done():
            job.answer.set_result(completion)

    def _replace_engine(
        self, config: EngineConfig, progress: ProgressSink, cancellation: CancellationEvent
    ) -> CompletionEngine:
        """Runs on the engine thread."""
        if cancellation.is_cancelled:
            raise _LoadGivenUpError
        self._close_resident()  # first, so that two models never share the memory
        try:
            self._resident = self._engine_factory(config, progress)
        except (EngineError, _LoadGivenUpError):
            raise
        except Exception as error:
            logger.exception("The model %s could not be loaded", config.model)
            raise EngineError(
                f"The model {config.model} could not be loaded ({_short(error)}); the log has the details."
            ) from error
        return self._resident

    def _close_resident(self) -> None:
        engine, self._resident = self._resident, None
        if engine is not None:
            try:
                engine.close()
            except Exception:
                logger.exception("The engine could not be closed")


def _fail(job: _Job, error: Exception) -> None:
    if not isinstance(error, EngineError):
        logger.error("Completion %s failed", job.completion_id, exc_info=error)
        sentence = f"A completion failed ({_short(error)}); the log has the details."
        error = EngineError(sentence)
    if not job.answer.done():
        job.answer.set_exception(error)


def _short(error: Exception) -> str:
    first_line = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first_line[:120]}" if first_line else type(error).__name__


def _throttled(progress: ProgressSink, cancellation: CancellationEvent) -> ProgressSink:
    """Passes on a new message, the end, and else one report per period; ends the load when it is cancelled."""
    last_message, last_time_s = "", 0.0

    def report(message: str, done: int, total: int | None) -> None:
        nonlocal last_message, last_time_s
        if cancellation.is_cancelled:
            raise _LoadGivenUpError
        now_s = time.monotonic()
        if message != last_message or done == total or now_s - last_time_s >= PROGRESS_PERIOD_S:
            last_message, last_time_s = message, now_s
            progress(message, done, total)

    return report
