"""The editor between a person and a server; the debounce of 50 ms is real."""

import asyncio

import pytest

from engine.completion.kept import kept_characters
from engine.errors import EngineError
from lsp_server.replay.auto_close import AutoClose
from lsp_server.replay.editor import Editor
from lsp_server.replay.replay import Stretch, replay
from tests.fakes import FakeServerUnderTest

pytestmark = pytest.mark.timeout(30)

THINKS_INSIDE = 26  # a person who pauses behind "f("


async def edited(server: FakeServerUnderTest, text: str = "") -> Editor:
    await server.begin("python", text)
    return Editor(server, len(text), AutoClose(text, ""))


async def seen(editor: Editor) -> str:
    while (ghost := editor.ghost(0.0)) is None:
        await asyncio.sleep(0.001)
    return ghost[0]


async def test_ghost_text_is_typed_along() -> None:
    editor = await edited(FakeServerUnderTest("ab"))
    editor.type("x")
    assert await seen(editor) == "ab"

    editor.type("a")

    assert await seen(editor) == editor.in_sight == "b"
    editor.type("c")
    assert editor.ghost(0.0) is None
    assert editor.in_sight == ""
    await editor.rest()


async def test_a_bracket_that_the_editor_closes_goes_from_the_end_of_the_ghost_text() -> None:
    server = FakeServerUnderTest("(a)")
    editor = await edited(server)
    editor.type("f")
    assert await seen(editor) == "(a)"

    editor.type("(")

    assert server.text == "f()"
    assert await seen(editor) == "a"
    await editor.rest()


async def test_ghost_text_that_does_not_end_so_is_hidden() -> None:
    editor = await edited(FakeServerUnderTest("(a):"))
    editor.type("f")
    assert await seen(editor) == "(a):"

    editor.type("(")

    assert editor.ghost(0.0) is None
    await editor.rest()


async def test_stepping_asks_nothing_and_shows_nothing() -> None:
    server = FakeServerUnderTest("a")
    editor = await edited(server)
    for key in ("{", "\n"):
        editor.type(key)
    await seen(editor)

    editor.step(1)
    editor.type("}")

    assert (server.text, server.answers, editor.behind) == ("{\n\n}", 1, "")
    assert editor.ghost(0.0) is None
    await editor.rest()


async def test_a_failure_shows_at_the_next_key() -> None:
    text = "abcdefghijklmnopqrstuvwxyz " * 4
    server = FakeServerUnderTest(fails=True)
    stretch = Stretch(file="a.py", language_id="python", before="", text=text, after="\n")

    with pytest.raises(EngineError, match=r"The server has ended\."):
        await replay("now", server, stretch, seed=0, accepted=kept_characters)

    assert server.answers == 1
    assert len(server.text) < len(text) / 2


async def test_a_closer_that_comes_twice_is_deleted_and_not_kept() -> None:
    server = FakeServerUnderTest("argument)")
    stretch = Stretch(file="a.py", language_id="python", before="", text="f(argument)", after="\n")

    run = await replay("now", server, stretch, seed=THINKS_INSIDE, accepted=kept_characters)

    assert server.text == "f(argument)\n"
    assert (run.kept_chars, run.keys, run.mending_keys) == (8, 4, 1)
    assert {broken.rule for broken in run.broken_rules} == {"doubled bracket"}
    assert run.broken_rules[0].answer == "argument)"


async def test_what_the_editor_leaves_to_the_person_is_typed_over() -> None:
    server = FakeServerUnderTest("argument")
    stretch = Stretch(file="a.py", language_id="python", before="", text="f(argument)", after="\n")

    run = await replay("now", server, stretch, seed=THINKS_INSIDE, accepted=kept_characters)

    assert server.text == "f(argument)\n"
    assert (run.kept_chars, run.keys, run.mending_keys) == (8, 4, 0)
    assert not run.broken_rules
