"""What becomes of questions to an engine in another process: others have their turn there, and it may be killed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engine.config import EngineConfig
from engine.errors import EngineLostError, NeverBegunError
from engine.types import CompletionRequest, no_progress, nothing_meanwhile
from lsp_server.suggest.reuse import Suggestion
from lsp_server.suggest.scheduler import CompletionScheduler
from lsp_server.suggest.seams import CancellationEvent
from tests.fakes import FakeEngine, wait_until_cancelled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from engine.types import CancellationToken, Completion, Meanwhile
    from lsp_server.suggest.jobs import Computed, Unserved

pytestmark = pytest.mark.timeout(20)


class Elsewhere(FakeEngine):
    """An engine in another process: "lose" ends it, "busy" has others' turns until it is cancelled."""

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(config)
        self.shared_as = "elsewhere"

    def complete(
        self,
        request: CompletionRequest,
        *,
        cancellation: CancellationToken,
        on_text: Callable[[str], None],
        meanwhile: Meanwhile = nothing_meanwhile,
    ) -> Completion:
        """Answers as the fake, or fails."""
        if request.prefix == "lose":
            raise EngineLostError("The engine has ended.")
        if request.prefix == "busy":
            self.started.set()
            wait_until_cancelled(cancellation)
            raise NeverBegunError("It was taken back.")
        return super().complete(request, cancellation=cancellation, on_text=on_text)


class Desk:
    """A scheduler, what it computed, and why it lost an engine each time."""

    def __init__(self) -> None:
        self.engines: list[Elsewhere] = []
        self.computed: list[Computed] = []
        self.losses: list[str] = []
        self.scheduler = CompletionScheduler(
            lambda config, _: self._load(config), self.computed.append, lambda _: None, self._lose
        )

    def ask(self, prefix: str, uri: str = "a.py") -> asyncio.Task[Suggestion | Unserved | None]:
        return asyncio.create_task(self.scheduler.complete(uri, prefix, CompletionRequest(prefix=prefix)))

    def _load(self, config: EngineConfig) -> Elsewhere:
        self.engines.append(Elsewhere(config))
        return self.engines[-1]

    def _lose(self, why: str) -> None:
        self.losses.append(why)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    await desk.scheduler.load(EngineConfig(), no_progress)
    yield desk
    assert await desk.scheduler.close(timeout_s=5)


async def test_an_engine_that_is_lost_is_told_of_once_and_answers_nothing(desk: Desk) -> None:
    first, second = desk.ask("lose"), desk.ask("x", "b.py")

    assert (await first, await second, await desk.ask("x")) == (None, None, None)
    assert (desk.losses, desk.computed) == (["The engine has ended."], [])
    await desk.scheduler.load(EngineConfig(), no_progress)
    assert await desk.ask("x") == Suggestion(completion_id="x", text="next")


async def test_a_request_whose_turn_never_came_is_no_completion(desk: Desk) -> None:
    waiting = desk.ask("busy")
    await asyncio.to_thread(desk.engines[0].started.wait)
    newer = desk.ask("busy x")  # typed on: an engine that had begun would go on for it

    assert await waiting is None
    assert await newer == Suggestion(completion_id="busy x", text="next")
    assert [computed.completion_id for computed in desk.computed] == ["busy x"]
    assert desk.losses == []


def test_whoever_waits_is_woken_once_by_a_cancellation_be_it_in_the_past() -> None:
    cancellation = CancellationEvent()
    calls: list[str] = []

    cancellation.when_cancelled(lambda: calls.append("before"))
    cancellation.cancel()
    cancellation.cancel()
    cancellation.when_cancelled(lambda: calls.append("after"))

    assert calls == ["before", "after"]
