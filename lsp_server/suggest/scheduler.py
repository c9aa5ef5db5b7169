"""`CompletionScheduler`: one engine, one thread, and who may use it next.

The newest request of a document wins: an older one is answered with nothing at once. What was being computed for it
goes on for the newer one where typing agrees with it, else it stops. Requests of several documents wait their turn.
It knows no LSP, no ledger and no torch; all its state lives on the event loop's thread, except the engine itself,
which only the engine thread touches.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from engine.errors import EngineError, EngineLostError, NeverBegunError, in_short
from engine.sentences import Sentence
from engine.types import PROJECT_ALONE
from lsp_server.suggest.jobs import Job, Run
from lsp_server.suggest.seams import CancellationEvent

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from engine.config import EngineConfig
    from engine.types import CompletionRequest, ProgressSink
    from lsp_server.suggest.jobs import Computed, TypedSince, Unserved
    from lsp_server.suggest.reuse import Suggestion
    from lsp_server.suggest.seams import CompletionEngine, EngineFactory

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

LEFT_ALONE_S = 0.12  # the editor takes its request back at a key and asks again 50 ms after it, and a little
ENGINE_NICENESS = 10
PROGRESS_PERIOD_S = 0.2  # a download reports thousands of times; people read a few of them


class _LoadGivenUpError(Exception):
    """Raised inside a load to end it, once nobody waits for it."""


class CompletionScheduler:
    """Owns the engine and its thread.

    Args:
        engine_factory: Loads an engine.
        on_computed: Called on the event loop for everything that was computed, also where it was stopped or came
            too late.
        on_busy: Called on the event loop with whether a request is being computed.
        on_lost: Called on the event loop, with why, when the engine that was loaded can answer no more.
    """

    def __init__(
        self,
        engine_factory: EngineFactory,
        on_computed: Callable[[Computed], None],
        on_busy: Callable[[bool], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._engine_factory = engine_factory
        self._on_computed = on_computed
        self._on_busy = on_busy
        self._on_lost = on_lost
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        self._engine: CompletionEngine | None = None  # the one requests go to; None while there is none
        self._resident: CompletionEngine | None = None  # the one in memory; the engine thread's own
        self._pending: dict[str, Job] = {}  # by URI, oldest first
        self._running: Run | None = None
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
        self._engine = await reporting(self._executor, partial(self._replace_engine, config), progress)
        return self._engine

    async def complete(
        self,
        uri: str,
        completion_id: str,
        request: CompletionRequest,
        *,
        typed_since: TypedSince | None = None,
    ) -> Suggestion | Unserved | None:
        """Computes a suggestion unless a newer request of the same document comes first.

        Cancelling it stops the decoder at its next exit candidate, or a moment later where the text typed meanwhile
        agrees with the text computed; a request that still waits never reaches the engine.

        Args:
            uri: The document; its newest request wins.
            completion_id: Names what is computed for this request.
            request: What the engine is asked.
            typed_since: Says what has been typed at the place since; None where that cannot be known.

        Returns:
            The suggestion, by the name of the completion it comes from; UNSERVED where it waited for what was being
            computed for an older request, and that turned out otherwise than typed; None when a newer request took
            its place or there is no engine.

        Raises:
            EngineError: The engine failed on this request, in the user's words.
        """
        if self._engine is None:
            return None
        answer: asyncio.Future[Suggestion | Unserved | None] = asyncio.get_running_loop().create_future()
        job = Job(uri=uri, completion_id=completion_id, request=request, typed_since=typed_since, answer=answer)
        if self._running is not None and self._running.take_over(job):
            self._withdraw(uri)
        else:
            self.cancel(uri)
            self._pending[uri] = job
            self._start_next()
        try:
            return await answer
        except asyncio.CancelledError:
            self._leave(job)
            raise

    def would_serve(self, uri: str, request: CompletionRequest) -> bool:
        """True where what is being computed may answer this request too."""
        return self._running is not None and self._running.would_serve(uri, request)

    def cancel(self, uri: str) -> None:
        """Gives up what a document has asked."""
        self._withdraw(uri)
        if self._running is not None and self._running.job.uri == uri:
            self._running.give_up()

    def cancel_all(self) -> None:
        """Gives up everything."""
        for uri in [*self._pending, *([self._running.job.uri] if self._running else [])]:
            self.cancel(uri)

    async def unload(self) -> None:
        """Gives the engine's memory back; requests are answered with nothing until the next load."""
        self._engine = None
        self.cancel_all()
        await asyncio.get_running_loop().run_in_executor(self._executor, self._close_resident)

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

    def _withdraw(self, uri: str) -> None:
        if (waiting := self._pending.pop(uri, None)) is not None:
            waiting.give_up()

    def _leave(self, job: Job) -> None:
        run = self._running
        if self._pending.get(job.uri) is job:
            del self._pending[job.uri]
        elif run is not None and run.waiter is job:
            if run.leave():
                asyncio.get_running_loop().call_later(LEFT_ALONE_S, _stop_if_alone, run)
            else:
                run.give_up()

    def _start_next(self) -> None:
        if self._running is None and self._pending and self._engine is not None:
            job = self._pending.pop(next(iter(self._pending)))
            self._running = Run(job, is_begun=not self._engine.shared_as)
            self._run_task = asyncio.create_task(self._run(self._running, self._engine))
        # To look something up in a project takes a moment that nobody need see.
        self._on_busy(self._running is not None and self._running.job.request.policy != PROJECT_ALONE)

    async def _run(self, run: Run, engine: CompletionEngine) -> None:
        loop = asyncio.get_running_loop()

        def on_text(text: str) -> None:
            if run.grow(text):
                loop.call_soon_threadsafe(run.judge)

        call = partial(engine.complete, run.job.request, cancellation=run.cancellation, on_text=on_text)
        try:
            completion = await loop.run_in_executor(self._executor, call)
        except EngineLostError as error:
            self._running = None
            run.give_up()
            if self._engine is engine:
                self._engine = None
                self.cancel_all()
                self._on_lost(error.sentence)
        except NeverBegunError:
            self._running = None
            run.give_up()
        except Exception as error:  # one request's failure must not take the next one's engine
            self._running = None
            _fail(run, error)
        else:
            self._running = None
            self._record(run.finish(completion))
        self._start_next()

    def _record(self, computed: Computed) -> None:
        try:
            self._on_computed(computed)
        except Exception:
            logger.exception("Completion %s could not be recorded", computed.completion_id)

    def _replace_engine(
        self, config: EngineConfig, progress: ProgressSink, cancellation: CancellationEvent
    ) -> CompletionEngine:
        """Runs on the engine thread."""
        if cancellation.is_cancelled:
            raise _LoadGivenUpError
        self._close_resident()  # first, so that two models never share the memory
        if not config.shared:  # else this thread only waits
            give_way_to_the_editor()
        try:
            self._resident = self._engine_factory(config, progress)
        except (EngineError, _LoadGivenUpError):
            raise
        except Exception as error:
            logger.exception("The model %s could not be loaded", config.model)
            raise EngineError(
                Sentence(
                    "The model {model} could not be loaded ({reason}); the log has the details.",
                    model=config.model,
                    reason=in_short(error),
                )
            ) from error
        return self._resident

    def _close_resident(self) -> None:
        engine, self._resident = self._resident, None
        if engine is not None:
            try:
                engine.close()
            except Exception:
                logger.exception("The engine could not be closed")


def give_way_to_the_editor() -> None:
    """Lowers the priority of the engine's thread, and of those that it starts, below the editor's and the event loop's.

    Linux alone knows a priority of single threads. What it brings and costs: engine/LOG.md, "The first load, and a busy
    editor".
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), ENGINE_NICENESS)


def _stop_if_alone(run: Run) -> None:
    if run.waiter is None:
        run.cancellation.cancel()


def _fail(run: Run, error: Exception) -> None:
    if not isinstance(error, EngineError):
        logger.error("Completion %s failed", run.job.completion_id, exc_info=error)
        error = EngineError(
            Sentence("A completion failed ({reason}); the log has the details.", reason=in_short(error))
        )
    if run.waiter is not None and not run.waiter.answer.done():
        run.waiter.answer.set_exception(error)


async def reporting(
    executor: Executor, work: Callable[[ProgressSink, CancellationEvent], _Result], progress: ProgressSink
) -> _Result:
    """Does long work on a thread of `executor`. Cancelling this gives it up at its next progress report.

    Args:
        executor: Has the thread.
        work: Is given whom to tell of its progress, and what is set when it is given up.
        progress: Called on the event loop, a few times per second at most.
    """
    loop = asyncio.get_running_loop()
    cancellation = CancellationEvent()

    def forward(message: str, done: int, total: int | None) -> None:
        loop.call_soon_threadsafe(progress, message, done, total)

    try:
        return await loop.run_in_executor(executor, work, _throttled(forward, cancellation), cancellation)
    except asyncio.CancelledError:
        cancellation.cancel()
        raise


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
