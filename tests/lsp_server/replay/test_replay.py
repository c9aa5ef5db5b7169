"""The whole way: a person, an editor and a real server process around a fake engine."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from engine.completion.kept import kept_characters
from engine.errors import EngineError
from lsp_server.replay.green_code import GreenCodeUnderTest
from lsp_server.replay.replay import Stretch, replay
from lsp_server.replay.server_arms import ACCEPTED
from lsp_server.replay.stretches import cut
from tests.lsp_server.client import EVERYWHERE

pytestmark = pytest.mark.timeout(60)

# The fake engine offers "next" everywhere; people have time to see it at the beginning of a line.
TEXT = "a = [\n    next(b)]\n"
STRETCH = Stretch(file="a.py", language_id="python", before="a = 1\n", text=TEXT, after="b = 2\n")
FAKE = (sys.executable, "-m", "tests.lsp_server.fake_server")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[GreenCodeUnderTest]:
    server = GreenCodeUnderTest(EVERYWHERE, tmp_path, FAKE)
    await server.start()
    yield server
    await server.stop()


async def test_what_fits_is_taken_and_everything_is_counted(server: GreenCodeUnderTest) -> None:
    run = await replay("now", server, STRETCH, seed=3, accepted=kept_characters)

    assert (run.typed_chars, run.kept_chars) == (len(STRETCH.text), 4)
    assert run.read_chars >= 4
    assert run.read_chars % 4 == 0  # whole suggestions, each once
    assert run.costs.computed > 0
    assert run.costs.energy_j == 2.0 * run.costs.computed
    assert run.costs.wasted_j == run.costs.energy_j - 2.0
    assert run.costs.provenance == "measured"
    assert run.costs.computed + run.costs.reused + run.costs.skipped >= run.asked
    assert run.costs.cpu_s is not None
    assert len(run.answered_s) == run.shown
    assert {broken.rule for broken in run.broken_rules} == {"broken word"}  # it is put before the b behind the cursor


class Onlooker:
    def __init__(self) -> None:
        self.parts: list[tuple[str, bool]] = []
        self.sees_nothing_at_first = False

    def begins(self, in_sight: Callable[[], str]) -> None:
        self.sees_nothing_at_first = in_sight() == ""

    def wrote(self, text: str, *, kept: bool) -> None:
        self.parts.append((text, kept))


async def test_an_onlooker_sees_who_wrote_what(server: GreenCodeUnderTest) -> None:
    onlooker = Onlooker()

    run = await replay("now", server, STRETCH, seed=3, accepted=kept_characters, onlooker=onlooker)

    assert onlooker.sees_nothing_at_first
    assert "".join(text for text, _ in onlooker.parts) == STRETCH.text
    assert sum(len(text) for text, kept in onlooker.parts if kept) == run.kept_chars


async def test_what_is_typed_is_the_file(server: GreenCodeUnderTest) -> None:
    await replay("now", server, STRETCH, seed=2, accepted=ACCEPTED["whole"], time_scale=0.2)

    assert server._text == STRETCH.before + STRETCH.text + STRETCH.after


async def test_who_types_fast_overtakes_the_requests(server: GreenCodeUnderTest) -> None:
    run = await replay("now", server, STRETCH, seed=3, accepted=kept_characters, time_scale=0.01)

    assert run.asked < run.keys
    assert run.kept_chars == run.read_chars == 0  # nothing was in sight for long enough


def test_a_stretch_is_whole_lines_inside_the_file() -> None:
    text = "".join(f"line_{n} = {n}\n" for n in range(300))

    part = cut(Stretch(file="a.py", language_id="python", before="", text=text, after=""), 200)

    assert part is not None
    assert part.before + part.text + part.after == text
    assert part.before.endswith("\n")
    assert part.after.startswith("\n")
    assert 200 <= len(part.text) < 220
    assert cut(Stretch(file="a.py", language_id="python", before="", text="x\n" * 100, after=""), 200) is None


@pytest.mark.parametrize(
    ("suggestion", "wanted", "words", "whole"),
    [("foo(bar)", "foo(bar)\n", 8, 8), ("foo(baz)", "foo(bar)\n", 4, 0), ("bar", "foo", 0, 0)],
)
def test_the_rules_by_which_text_is_taken(suggestion: str, wanted: str, words: int, whole: int) -> None:
    assert (ACCEPTED["words"](suggestion, wanted), ACCEPTED["whole"](suggestion, wanted)) == (words, whole)


async def test_a_server_that_died_says_so_at_the_next_key(server: GreenCodeUnderTest) -> None:
    await server.begin("python", "a")
    process = psutil.Process(server._client.pid)
    process.kill()
    await asyncio.to_thread(process.wait)

    with pytest.raises(EngineError, match=r"has ended|ended before it answered"):
        await replay("now", server, STRETCH, seed=2, accepted=kept_characters)


async def test_an_error_of_the_server_is_no_empty_suggestion(server: GreenCodeUnderTest) -> None:
    with pytest.raises(EngineError, match=r"answered no/such/method with an error: "):
        await server._client.ask("no/such/method", None)


async def test_a_request_that_is_taken_back_is_cancelled_at_the_server(
    server: GreenCodeUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    await server.begin("python", "hold")
    request = asyncio.create_task(server.ask(4))
    while server._status is not None and server._status.quiescent:  # until the engine computes
        await asyncio.sleep(0.01)

    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request

    costs = await server.end([])
    assert costs.cancelled == 1
    gc.collect()  # asyncio speaks of an error that nobody asked about once its future goes
    assert not caplog.records
