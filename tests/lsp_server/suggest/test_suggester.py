import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from lsprotocol.types import Position, Range

from engine.config import EngineConfig
from engine.outlook import Outlook
from engine.types import (
    CancellationToken,
    Completion,
    CompletionRequest,
    Meanwhile,
    ProgressSink,
    ProjectDocument,
    no_progress,
    nothing_meanwhile,
)
from lsp_server.context.documents import CursorContext
from lsp_server.settings import Settings
from lsp_server.suggest.gate import Gate
from lsp_server.suggest.jobs import Computed
from lsp_server.suggest.reuse import Suggestion
from lsp_server.suggest.scheduler import CompletionScheduler
from lsp_server.suggest.seams import EngineFactory
from lsp_server.suggest.suggester import Question, Suggester
from tests.fakes import FakeEngine, load_fake_engine

pytestmark = pytest.mark.timeout(20)


def question(prefix: str, *, name: str = "", invoked: bool = False) -> Question:
    here = Position(0, len(prefix))
    context = CursorContext(
        language_id="python",
        prefix=prefix,
        suffix="",
        insert_range=Range(here, here),
        selected_text="",
        in_project=ProjectDocument(project="p"),
    )
    return Question(uri="a.py", completion_id=name or prefix, context=context, is_invoked=invoked, typed_since=None)


class Desk:
    """A suggester around a fake engine, and what it told of its work."""

    def __init__(self, factory: EngineFactory = load_fake_engine) -> None:
        self.reused: list[tuple[str, int]] = []
        self.skipped = 0
        self.chance = 1.0
        self.outlooks: list[Outlook | None] = []
        self.scheduler = CompletionScheduler(factory, self._keep, lambda _: None, lambda _: None)
        self.suggester = Suggester(
            self.scheduler,
            Gate(self._chance, 1.0),
            on_reused=lambda name, chars: self.reused.append((name, chars)),
            on_skipped=self._skip,
        )

    def _chance(self, prefix: str, outlook: Outlook | None) -> float:
        self.outlooks.append(outlook)
        return self.chance

    @property
    def engine(self) -> FakeEngine:
        engine = self.scheduler.engine
        assert isinstance(engine, FakeEngine)
        return engine

    async def ask(self, prefix: str, *, invoked: bool = False, debounce_ms: int | None = 0) -> Suggestion | None:
        settings = Settings(debounce_ms=debounce_ms)
        return await self.suggester.suggest(question(prefix, invoked=invoked), settings)

    def _keep(self, computed: Computed) -> None:
        self.suggester.keep(computed)

    def _skip(self) -> None:
        self.skipped += 1


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    await desk.scheduler.load(EngineConfig(), no_progress)
    yield desk
    assert await desk.scheduler.close(timeout_s=5)


async def test_what_is_known_is_answered_without_the_engine(desk: Desk) -> None:
    await desk.ask("x")

    assert await desk.ask("xne") == Suggestion(completion_id="x", text="xt")
    assert (len(desk.engine.requests), desk.reused) == (1, [("x", 2)])


async def test_without_reuse_the_engine_is_asked_each_time(desk: Desk) -> None:
    for _ in range(2):
        await desk.suggester.suggest(question("x"), Settings(debounce_ms=0, reuse=False))

    assert (len(desk.engine.requests), desk.reused) == (2, [])


async def test_who_is_overtaken_while_waiting_never_reaches_the_engine(desk: Desk) -> None:
    answers = await asyncio.gather(*(desk.ask(prefix, debounce_ms=20) for prefix in ("x", "xy", "xyz")))

    assert [answer is not None for answer in answers] == [False, False, True]
    assert ([request.prefix for request in desk.engine.requests], desk.skipped) == (["xyz"], 2)


async def test_who_is_taken_back_while_waiting_is_counted_too(desk: Desk) -> None:
    waiting = asyncio.create_task(desk.ask("x", debounce_ms=5000))
    await asyncio.sleep(0)

    waiting.cancel()
    await asyncio.wait([waiting])

    assert (desk.engine.requests, desk.skipped) == ([], 1)


async def test_by_hand_every_place_is_asked_at_once(desk: Desk) -> None:
    desk.chance = 0.0

    assert await desk.ask("x", invoked=True, debounce_ms=5000) is not None
    assert await desk.ask("y") is None
    assert ([request.prefix for request in desk.engine.requests], desk.skipped) == (["x"], 1)


@pytest.mark.parametrize("chance", [1.0, 0.0], ids=["while it waits", "where nobody would keep the model's text"])
async def test_what_the_project_is_sure_of_is_offered_at_once_and_without_the_model(desk: Desk, chance: float) -> None:
    desk.chance = chance

    offered = await desk.ask("known", debounce_ms=5000)

    assert offered == Suggestion(completion_id="known-project", text=" to all")
    assert await desk.ask("known to") == Suggestion(completion_id="known-project", text=" all")
    assert (desk.engine.requests, len(desk.engine.looked_up), desk.skipped) == ([], 1, 0)


async def test_what_the_project_is_not_sure_of_tells_whether_to_ask_the_model(desk: Desk) -> None:
    for prefix in ("x", "guessed", "y"):
        await desk.ask(prefix)
    await desk.suggester.suggest(question("guessed more"), Settings(debounce_ms=0, green_mode=0))

    assert desk.outlooks == [None, Outlook(text=" to", chance=0.5), None, None]


async def test_by_hand_the_model_is_asked_at_once(desk: Desk) -> None:
    assert await desk.ask("known", invoked=True) == Suggestion(completion_id="known", text="next")
    assert (len(desk.engine.requests), desk.engine.looked_up) == (1, [])


@pytest.mark.parametrize("settings", [{"green_mode": 0}, {"policy": "full-depth"}])
async def test_who_wants_full_depth_is_not_answered_by_the_project(desk: Desk, settings: dict[str, Any]) -> None:
    answer = await desk.suggester.suggest(question("known"), Settings(debounce_ms=0, **settings))

    assert (answer, desk.engine.looked_up) == (Suggestion(completion_id="known", text="next"), [])


async def test_that_the_project_says_nothing_is_no_answer_to_be_kept(desk: Desk) -> None:
    await desk.ask("x", debounce_ms=1)

    assert [len(asked) for asked in (desk.engine.looked_up, desk.engine.requests)] == [1, 1]
    assert await desk.ask("x") == Suggestion(completion_id="x", text="next")


async def test_by_hand_a_text_is_not_given_up(desk: Desk) -> None:
    await desk.ask("x", invoked=True)
    await desk.ask("y")

    assert [request.may_give_up for request in desk.engine.requests] == [False, True]


async def test_what_goes_on_is_waited_for_and_else_the_question_is_asked_anew(desk: Desk) -> None:
    desk.engine.word_s = None
    older = asyncio.create_task(desk.ask("slowly"))
    await asyncio.to_thread(desk.engine.started.wait)
    newer = asyncio.create_task(desk.ask("slowly1", debounce_ms=20))
    await asyncio.sleep(0)

    desk.engine.go.release()  # "one", which is not what is typed

    assert (await older, await newer) == (None, Suggestion(completion_id="slowly1", text="next"))


async def test_typing_on_while_it_goes_on_asks_the_engine_once(desk: Desk) -> None:
    desk.engine.word_s = None
    tasks = [asyncio.create_task(desk.ask("slowly"))]
    await asyncio.to_thread(desk.engine.started.wait)
    for typed in ("o", "on", "one", "one "):
        tasks.append(asyncio.create_task(desk.ask(f"slowly{typed}", debounce_ms=5000)))
        await asyncio.sleep(0)

    desk.engine.go.release(3)

    assert [answer and answer.text for answer in await asyncio.gather(*tasks)] == [None] * 4 + ["two three"]
    assert len(desk.engine.requests) == 1


async def test_other_settings_and_closed_documents_are_forgotten(desk: Desk) -> None:
    for forget in (desk.suggester.clear, lambda: desk.suggester.forget("a.py")):
        await desk.ask("x")
        forget()

    await desk.ask("x")

    assert (len(desk.engine.requests), desk.reused) == (3, [])


async def accept_there(desk: Desk, prefix: str) -> str:
    """Takes what is offered at a place; the text before the cursor from then on."""
    offered = await desk.ask(prefix)
    assert offered is not None
    desk.suggester.accept(offered.completion_id)
    return prefix + offered.text


async def test_where_a_suggestion_was_accepted_several_lines_are_asked_for(desk: Desk) -> None:
    end = await accept_there(desk, "x")

    await desk.ask(end)

    assert [request.single_line for request in desk.engine.requests] == [None, False]


async def test_what_is_left_of_a_suggestion_may_be_accepted_too(desk: Desk) -> None:
    await desk.ask("x")
    end = await accept_there(desk, "xne")

    await desk.ask(end)

    assert (desk.engine.requests[-1].prefix, desk.engine.requests[-1].single_line) == ("xnext", False)


@pytest.mark.parametrize("elsewhere", ["xnext;", "xnex", "y"])
async def test_who_types_on_behind_an_accepted_suggestion_is_at_a_place_like_any_other(
    desk: Desk, elsewhere: str
) -> None:
    end = await accept_there(desk, "x")

    for prefix in (elsewhere, end):
        await desk.ask(prefix, invoked=True)

    assert [request.single_line for request in desk.engine.requests] == [None] * 3


async def test_a_suggestion_that_was_typed_to_its_end_was_not_accepted(desk: Desk) -> None:
    await desk.ask("x")

    await desk.ask("xnext")

    assert desk.engine.requests[-1].single_line is None


async def test_where_the_accepted_line_goes_on_one_line_is_asked_for(desk: Desk) -> None:
    end = await accept_there(desk, "f(x")

    await desk.ask(end)

    assert desk.engine.requests[-1].single_line is None


class SlowWithSeveralLines(FakeEngine):
    """Takes its time where several lines are wanted."""

    def complete(
        self,
        request: CompletionRequest,
        *,
        cancellation: CancellationToken,
        on_text: Callable[[str], None],
        meanwhile: Meanwhile = nothing_meanwhile,
    ) -> Completion:
        slower = replace(request, prefix="slowly") if request.single_line is False else request
        return super().complete(slower, cancellation=cancellation, on_text=on_text)


def load_slow_engine(config: EngineConfig, _: ProgressSink) -> FakeEngine:
    return SlowWithSeveralLines(config)


async def test_typing_along_the_several_lines_asks_for_no_others() -> None:
    desk = Desk(load_slow_engine)
    await desk.scheduler.load(EngineConfig(), no_progress)
    desk.engine.word_s = None
    end = await accept_there(desk, "x")
    desk.engine.started.clear()
    several = asyncio.create_task(desk.ask(end))
    await asyncio.to_thread(desk.engine.started.wait)

    along = asyncio.create_task(desk.ask(f"{end}on"))
    await asyncio.sleep(0)
    desk.engine.go.release(3)

    assert [await several, await along] == [None, Suggestion(completion_id=end, text="e two three")]
    assert await desk.scheduler.close(timeout_s=5)


async def test_by_hand_the_model_alone_is_asked_where_it_says_nothing_with_the_project(
    desk: Desk,
) -> None:
    assert await desk.ask("settled") == Suggestion(completion_id="settled", text="")
    by_hand = await desk.ask("settled", invoked=True)

    assert by_hand == Suggestion(completion_id="settled-alone", text="next")
    assert await desk.ask("nothing", invoked=True) == Suggestion(completion_id="nothing-alone", text="")
