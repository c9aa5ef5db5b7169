import pytest

from lsp_server.replay.llama_vscode import (
    ClientPlace,
    Memory,
    client_place_at,
    indentation,
    inserted,
    place_after,
    place_below,
    shown,
    without_blank_end,
)


def place(before: str, behind: str = "") -> ClientPlace:
    return client_place_at(before, behind, lines_above=2, lines_below=1)


def test_a_place_holds_some_lines_above_and_below() -> None:
    seen = place("a\nb\nc\n    d", ");\ne\nf")

    assert (seen.above, seen.prompt, seen.behind) == ("b\nc\n", "    d", ");\ne\n")


def test_a_blank_line_is_asked_about_without_its_indentation() -> None:
    assert place("a\n    ").prompt == ""
    assert indentation("a\n    ", "\nb") == 4


@pytest.mark.parametrize("suggestion", ["    b()", "    b()\n    c()", "    b()\n    c()\n    d()\n    e()"])
def test_the_place_after_a_suggestion_is_where_the_cursor_then_stands(suggestion: str) -> None:
    before, behind = "a\nif a:\n    ", "\nz"

    after = place_after(place(before, behind), suggestion, lines_above=2)

    assert after == place(before + inserted(suggestion, before), behind)


def test_the_place_below_is_where_enter_leads() -> None:
    assert place_below(place("a\nb = ", "\nz"), "1") == client_place_at(
        "a\nb = 1\n    ", "\nz", lines_above=3, lines_below=1
    )


@pytest.mark.parametrize(
    ("text", "before", "behind", "expected"),
    [
        pytest.param(" 1\n\n  \n", "x =", "\n", " 1", id="blank lines at the end"),
        pytest.param("1 ", "x = ", "\n", "1 ", id="blanks at the end stay"),
        pytest.param("\n \n", "x =", "\n", "", id="nothing"),
        pytest.param("a)\nb", "f(", ")", "a", id="what stands behind is cut off, and other lines"),
        pytest.param("a, b\nc", "f(", ")", "a, b", id="the first line before other text"),
        pytest.param(")", "f(a", ")\n", "", id="what stands behind"),
        pytest.param("b()", "a()\n", "\n\nb()\n", "", id="the next line that is not blank"),
        pytest.param("b()\nc", "a()\n", "\nb()\nc()\n", "", id="the next line, and how the one after it begins"),
        pytest.param("\nb()", "a()", "\nb()\nc()", "", id="the next lines behind a line end"),
        pytest.param("b()\nd()", "a()\n", "\nb()\nc()\n", "b()\nd()", id="going on otherwise"),
        pytest.param("b()", "a()\n", "", "b()", id="on the last line anything goes"),
    ],
)
def test_what_is_shown_of_an_answer(text: str, before: str, behind: str, expected: str) -> None:
    assert shown(text, before, behind) == expected


@pytest.mark.parametrize(
    ("suggestion", "before", "expected"),
    [
        ("    a\n    b", "x\n    ", "a\n    b"),
        ("  a", "x\n    ", "a"),
        ("      a", "x\n    ", "  a"),
        ("\t\ta", "x\n\t", "a"),
        (" a", "x =", " a"),
    ],
)
def test_indentation_that_is_there_is_not_inserted(suggestion: str, before: str, expected: str) -> None:
    assert inserted(suggestion, before) == expected


def test_only_blank_lines_are_an_end() -> None:
    assert without_blank_end("\na\r\n b \n\t\n") == "\na\n b "


def test_what_is_typed_along_an_answer_finds_what_is_left_of_those_that_agree() -> None:
    memory = Memory(10)
    memory.remember(place("x\n"), ["    return a", "    return b", "    pass"])

    assert memory.find(place("x\n    return ")) == ["a", "b"]
    assert memory.find(place("x\n    return b")) == [""]
    assert memory.find(place("x\n    return c")) is None
    assert memory.find(place("y\n    return ")) is None


def test_the_oldest_unused_answers_are_forgotten() -> None:
    memory = Memory(2)
    for text in "ab":
        memory.remember(place(text), [text])
    memory.find(place("a"))

    memory.remember(place("c"), ["c"])

    assert [place(text) in memory for text in "abc"] == [True, False, True]
