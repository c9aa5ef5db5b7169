from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engine.errors import ModelCorruptError, ModelDownloadError, ModelNotFoundError
from lsp_server import retries
from lsp_server.retries import Retries

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("error", [ModelDownloadError("No network."), ModelNotFoundError("No such model.")])
async def test_what_may_pass_is_tried_again_by_itself(
    error: ModelDownloadError | ModelNotFoundError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "FIRST_DELAY_S", 0.0)
    again = asyncio.Event()

    sentence = Retries(again.set).plan(error)

    assert "tries again" in sentence
    await asyncio.wait_for(again.wait(), 5)


async def test_the_delay_grows_to_a_bound_and_begins_anew_after_a_success() -> None:
    planned = Retries(lambda: None)
    error = ModelDownloadError("No network.")

    sentences: list[str] = []
    for _ in range(7):
        sentences.append(planned.plan(error))
        planned.cancel()
    planned.succeeded()
    sentences.append(planned.plan(error))
    planned.cancel()

    whens = [sentence.removeprefix("Green Code tries again in ").partition(",")[0] for sentence in sentences]
    assert whens == [
        *("30 seconds", "60 seconds", "2 minutes", "4 minutes", "8 minutes", "10 minutes", "10 minutes"),
        "30 seconds",
    ]


async def test_what_does_not_pass_is_tried_by_hand_alone() -> None:
    tries: list[None] = []
    planned = Retries(lambda: tries.append(None))

    assert planned.plan(ModelCorruptError("Broken.")) == ""
    planned.by_hand()  # at once after the failure: whoever asks at every key would keep the machine busy
    assert tries == []


async def test_by_hand_it_is_tried_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "LEAST_S", 0.0)
    tries: list[None] = []
    planned = Retries(lambda: tries.append(None))
    planned.plan(ModelDownloadError("No network."))

    planned.by_hand()
    planned.cancel()

    assert tries == [None]


async def test_a_lost_engine_is_loaded_again_at_once_and_later_where_that_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delays: list[float] = []
    loop, now_s = asyncio.get_running_loop(), 1000.0

    def call_later(delay: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        delays.append(delay)
        return asyncio.TimerHandle(0.0, call, (), loop)

    monkeypatch.setattr(loop, "call_later", call_later)
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    planned = Retries(lambda: None)

    for _ in range(7):
        planned.after_loss()
    now_s += 121.0
    planned.after_loss()
    monkeypatch.undo()

    assert delays == [0, 3, 15, 63, 255, 600, 600, 0]
