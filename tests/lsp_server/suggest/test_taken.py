"""Insertions by which somebody takes a part of a suggestion, and those that were typed or came from the editor."""

import pytest

from lsp_server.suggest.taken import OfferedText


def taken(text: str, *inserted: str | None) -> list[int]:
    """What each of some insertions takes; None stands for another change of the document."""
    typed: str | None = ""
    offer = OfferedText(completion_id="a", text=text, typed_since=lambda: typed)
    found = []
    for each in inserted:
        typed = None if each is None or typed is None else typed + each
        found.append(offer.taken_by(each or ""))
    return found


@pytest.mark.parametrize(
    ("text", "inserted", "expected"),
    [
        ("width * height", ["width", " *", " height"], [5, 0, 0]),  # the last whole rest tells of itself
        ("width * height)", ["width", " * ", "height"], [5, 0, 6]),
        ("width * height", ["w", "i", "dth"], [0, 0, 3]),
        ("area(width)", ["area", "()"], [4, 0]),  # the editor closes what is typed
        ("():\n    pass", ["()", ":"], [0, 0]),
        ("a\n    b = c", ["a", "\n    ", "b", " = c"], [0, 0, 0, 0]),
        ("a\n    b = c\n", ["a\n    b = c"], [11]),
        ("div></div>", ["div", ">", "</div>"], [3, 0, 0]),
        ("div></div>\n", ["div", ">", "</div>"], [3, 0, 0]),
        ("width", ["height", "width"], [0, 0]),
        ("width * height", [None, "width"], [0, 0]),
        ("grün blau", ["grün"], [4]),
    ],
)
def test_what_is_taken(text: str, inserted: list[str | None], expected: list[int]) -> None:
    assert taken(text, *inserted) == expected


def test_where_it_cannot_be_known_nothing_is_taken() -> None:
    assert OfferedText(completion_id="a", text="width", typed_since=None).taken_by("wid") == 0
