import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import pytest

from engine.config import EngineConfig
from engine.errors import EngineError
from engine.types import CompletionRequest, FinishReason, ProgressSink, no_progress
from lsp_server.suggest.jobs import Unserved
from lsp_server.suggest.reuse import Suggestion
from lsp_server.suggest.scheduler import CompletionScheduler, _throttled
from lsp_server.suggest.seams import CancellationEvent
from tests.fakes import FakeEngine, load_fake_engine

if TYPE_CHECKING:
    from lsp_server.suggest.jobs import Computed

pytestmark = pytest.mark.timeout(20)


class Desk:
    """A scheduler with a loaded fake, and what it computed."""

    def __init__(self) -> None:
        self.computed: list[Computed] = []
        self.busy: list[bool] = []
        self.scheduler = CompletionScheduler(
            load_fake_engine,
            self.computed.append,
            self.busy.append,
            lambda _: None,
        )

    @property
    def engine(self) -> FakeEngine:
        engine = self.scheduler.engine
        assert isinstance(engine, FakeEngine)
        return engine

    def ask(
        self,
        order: str,
        *,
        uri: str = "a.py",
        name: str = "",
        suffix: str = "",
        typed_since: Callable[[], str | None] | None = None,
    ) -> asyncio.Task[Suggestion | Unserved | None]:
        request = CompletionRequest(prefix=order, suffix=suffix)
        return asyncio.create_task(self.scheduler.complete(uri, name or order, request, typed_since=typed_since))

    async def ask_and_start(
        self, order: str, *, uri: str = "a.py", typed_since: Callable[[], str | None] | None = None
    ) -> asyncio.Task[Suggestion | Unserved | None]:
        """Returns once the request has reached the engine."""
        self.engine.started.clear()
        task = self.ask(order, uri=uri, typed_since=typed_since)
        await asyncio.to_thread(self.engine.started.wait)
        return task


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    await desk.scheduler.load(EngineConfig(), no_progress)
    yield desk
    assert await desk.scheduler.close(timeout_s=5)


async def test_a_request_is_answered_and_reported(desk: Desk) -> None:
    completion = await desk.ask("x", name="id")

    assert completion == Suggestion(completion_id="id", text="next")
    assert [(computed.completion_id, computed.text) for computed in desk.computed] == [("id", "next")]
    assert desk.busy == [True, False]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives priorities to threads")
async def test_the_engine_gives_way_to_the_editor_and_the_event_loop_does_not() -> None:
    niceness: list[int] = []

    def load(config: EngineConfig, progress: ProgressSink) -> FakeEngine:
        niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return load_fake_engine(config, progress)

    scheduler = CompletionScheduler(load, lambda computed: None, lambda busy: None, lambda _: None)
    await scheduler.load(EngineConfig(), no_progress)
    await scheduler.close(timeout_s=5)

    here = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert niceness == [10]
    assert here < niceness[0]


async def test_without_an_engine_requests_are_answered_with_nothing() -> None:
    desk = Desk()

    assert await desk.ask("x") is None
    await desk.scheduler.close(timeout_s=5)


async def test_the_newest_request_of_a_document_wins(desk: Desk) -> None:
    older = await desk.ask_and_start("hold")

    newer = desk.ask("x")

    assert await older is None
    assert await newer is not None
    assert [computed.completion.finish_reason for computed in desk.computed] == [
        FinishReason.CANCELLED,
        FinishReason.STOP,
    ]


async def test_of_fifty_superseded_requests_two_reach_the_engine(desk: Desk) -> None:
    tasks = [await desk.ask_and_start("hold"), *(desk.ask("x", name=str(n)) for n in range(50))]

    answers = await asyncio.gather(*tasks)

    assert [n for n, answer in enumerate(answers) if answer is not None] == [50]
    assert len(desk.engine.requests) == 2
    assert len(desk.computed) == 2  # and what the first one cost is known


@pytest.mark.parametrize(("typed", "rest"), [("", "one two three"), ("on", "e two three"), ("one two t", "hree")])
async def test_what_is_being_computed_goes_on_for_typing_that_agrees(desk: Desk, typed: str, rest: str) -> None:
    desk.engine.word_s = None
    older = await desk.ask_and_start("slowly")
    newer = desk.ask(f"slowly{typed}")
    assert await older is None

    desk.engine.go.release(3)

    assert await newer == Suggestion(completion_id="slowly", text=rest)
    assert len(desk.engine.requests) == 1
    (computed,) = desk.computed
    assert (computed.text, computed.completion.text) == ("one two three", rest)  # all of it is known, this was offered


async def test_typing_that_disagrees_with_the_text_so_far_stops_it(desk: Desk) -> None:
    desk.engine.word_s = None
    older = await desk.ask_and_start("slowly")
    newer = desk.ask("slowly1")
    await asyncio.sleep(0)
    assert not newer.done()  # it may still be what the person types

    desk.engine.go.release()  # it is "one"

    assert (await older, await newer) == (None, Unserved.UNSERVED)
    assert await desk.ask("slowly1") == Suggestion(completion_id="slowly1", text="next")
    reasons = [computed.completion.finish_reason for computed in desk.computed]
    assert reasons == [FinishReason.CANCELLED, FinishReason.STOP]


async def test_an_answer_that_was_typed_to_its_end_serves_nobody_and_is_known(desk: Desk) -> None:
    desk.engine.word_s = None
    await desk.ask_and_start("slowly")
    newer = desk.ask("slowlyone two three")

    desk.engine.go.release(3)

    assert await newer is Unserved.UNSERVED
    (computed,) = desk.computed
    assert (computed.text, computed.completion.text) == ("one two three", "")


async def test_other_text_behind_the_cursor_starts_anew(desk: Desk) -> None:
    await desk.ask_and_start("slowly")

    newer = desk.ask("slowlyone", suffix=")")

    assert await newer == Suggestion(completion_id="slowlyone", text="next")


async def test_a_request_taken_back_for_typing_that_agrees_goes_on_for_a_moment(desk: Desk) -> None:
    desk.engine.word_s = None
    older = await desk.ask_and_start("slowly", typed_since=lambda: "o")
    older.cancel()
    await asyncio.wait([older])

    newer = desk.ask("slowlyo")
    desk.engine.go.release(3)

    assert await newer == Suggestion(completion_id="slowly", text="ne two three")
    assert len(desk.engine.requests) == 1


async def test_a_moment_later_it_is_stopped(desk: Desk) -> None:
    desk.engine.word_s = None
    older = await desk.ask_and_start("slowly", typed_since=lambda: "o")

    older.cancel()
    await desk.ask("x", uri="b.py")

    assert desk.computed[0].completion.finish_reason is FinishReason.CANCELLED
    assert desk.computed[0].text is None


@pytest.mark.parametrize("typed", ["", "two", None])
async def test_without_typing_that_agrees_it_is_stopped_at_once(desk: Desk, typed: str | None) -> None:
    desk.engine.word_s = None
    older = await desk.ask_and_start("slowly", typed_since=lambda: typed)
    desk.engine.go.release()
    await asyncio.sleep(0.02)

    older.cancel()
    await asyncio.wait([older])

    assert desk.scheduler._running is not None
    assert desk.scheduler._running.cancellation.is_cancelled


async def test_documents_wait_their_turn(desk: Desk) -> None:
    first = await desk.ask_and_start("hold", uri="a.py")
    others = [desk.ask("x", uri=name) for name in ("b.py", "c.py")]
    await asyncio.sleep(0)
    assert len(desk.engine.requests) == 1

    desk.scheduler.cancel("a.py")

    assert await first is None
    assert all(await asyncio.gather(*others))


async def test_cancelling_a_running_request_stops_the_engine(desk: Desk) -> None:
    task = await desk.ask_and_start("hold")

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert await desk.ask("x") is not None  # the engine thread is free again
    assert desk.computed[0].completion.finish_reason is FinishReason.CANCELLED


async def test_a_request_cancelled_while_it_waits_never_reaches_the_engine(desk: Desk) -> None:
    running = await desk.ask_and_start("hold", uri="a.py")
    waiting = desk.ask("x", uri="b.py")
    await asyncio.sleep(0)

    waiting.cancel()
    await asyncio.sleep(0)
    desk.scheduler.cancel("a.py")
    await running
    await desk.ask("y")

    assert [request.prefix for request in desk.engine.requests] == ["hold", "y"]


async def test_an_answer_nobody_waits_for_counts_as_cancelled(desk: Desk) -> None:
    task = asyncio.create_task(desk.scheduler.complete("a.py", "id", CompletionRequest(prefix="x")))
    await asyncio.sleep(0)  # it is with the engine, which does not look at the cancellation any more
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await desk.ask("y")

    late = desk.computed[0].completion
    assert (late.finish_reason, late.text) == (FinishReason.CANCELLED, "")
    assert late.energy.energy_j == 2.0


async def test_a_crash_of_one_request_is_told_in_one_sentence_and_the_next_is_served(desk: Desk) -> None:
    with pytest.raises(EngineError) as told:
        await desk.ask("crash")

    assert str(told.value) == (
        "A completion failed (RuntimeError: CUDA error: an illegal memory access); the log has the details."
    )
    assert await desk.ask("x") is not None


async def test_an_error_in_the_users_words_is_passed_on(desk: Desk) -> None:
    with pytest.raises(EngineError, match="does not fit the model fake"):
        await desk.ask("refuse")


async def test_a_new_engine_replaces_and_closes_the_old_one(desk: Desk) -> None:
    old = desk.engine
    waiting = await desk.ask_and_start("hold")

    await desk.scheduler.load(EngineConfig(model="other"), no_progress)

    assert await waiting is None
    assert old.is_closed
    assert desk.engine.model_name == "other"


async def test_a_model_that_cannot_be_had_is_told_in_its_own_words(desk: Desk) -> None:
    with pytest.raises(EngineError, match="neither in the cache nor on the hub"):
        await desk.scheduler.load(EngineConfig(model="missing"), no_progress)

    assert await desk.ask("x") is None


async def test_an_unexpected_failure_of_a_load_is_one_sentence(desk: Desk) -> None:
    with pytest.raises(EngineError) as told:
        await desk.scheduler.load(EngineConfig(model="broken"), no_progress)

    assert str(told.value) == (
        "The model broken could not be loaded (RuntimeError: tensor shapes differ); the log has the details."
    )


async def test_a_load_is_given_up_for_another_one(desk: Desk) -> None:
    seen = asyncio.Event()
    slow = asyncio.create_task(desk.scheduler.load(EngineConfig(model="slow"), lambda *_: seen.set()))
    await seen.wait()

    slow.cancel()
    engine = await desk.scheduler.load(EngineConfig(model="other"), no_progress)

    assert engine.model_name == "other"


def test_progress_is_thinned_out() -> None:
    reports: list[tuple[str, int]] = []
    sink = _throttled(lambda message, done, total: reports.append((message, done)), CancellationEvent())

    for done in range(1001):
        sink("Fetching", done, 1000)
    sink("Converting", 0, None)

    assert len(reports) < 20
    assert reports[0] == ("Fetching", 0)
    assert reports[-2:] == [("Fetching", 1000), ("Converting", 0)]


async def test_closing_stops_what_runs() -> None:
    desk = Desk()
    await desk.scheduler.load(EngineConfig(), no_progress)
    engine = desk.engine
    running = await desk.ask_and_start("hold")

    is_idle = await desk.scheduler.close(timeout_s=5)

    assert is_idle
    assert await running is None
    assert engine.is_closed
    assert len(desk.computed) == 1
