"""Positions against plain definitions of them, through random edits, and what finding them costs, by counting."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import pytest
from lsprotocol.types import Position, Range, TextDocumentContentChangePartial, TextDocumentContentChangeWholeDocument
from pygls.workspace import PositionCodec

from lsp_server.context import positions
from lsp_server.context.documents import OpenDocument, typed_at
from lsp_server.context.positions import LineStarts, column_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ENCODINGS = ["utf-8", "utf-16", "utf-32"]
PIECES = ["", "a", "\n", "\r", "\r\n", "é", "😀", "word ", "\u2028", "\f", "x\ny\r\nz", "\n\n"]


def starts_of(text: str) -> list[int]:
    return [0, *(end.end() for end in re.finditer("\r\n|\n|\r", text))]


@pytest.mark.parametrize("seed", range(20))
def test_the_lines_are_those_of_the_text_after_any_edits(seed: int) -> None:
    chance = random.Random(seed)
    text = "".join(chance.choices(PIECES, k=40))
    lines = LineStarts(text)

    for _ in range(60):
        start, end = sorted(chance.choices(range(len(text) + 1), k=2))
        end = min(end, start + chance.choice([0, 0, 1, 2, 50]))
        new = "".join(chance.choices(PIECES, k=chance.randint(0, 3)))
        text = text[:start] + new + text[end:]
        lines.replace(start, end, len(new), text[max(0, start - 1) : start + len(new) + 2])

        assert [lines[line] for line in range(len(lines))] == starts_of(text)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_column_is_the_first_character_at_or_behind_it(encoding: str) -> None:
    codec = PositionCodec(encoding)
    for line in ("", "abc", "é", "a😀b", "日本語", "😀😀", "e\u0301x", "a\ud83dz", "\udc00\ud83d", "\ud83d\ude00é"):
        for character in range(4 * len(line) + 2):
            units = 0
            column = 0
            while column < len(line) and units < character:
                units += len(line[column].encode(codec_name(encoding), "surrogatepass")) // unit_bytes(encoding)
                column += 1
            assert column_of(line, character, codec) == (column, units)


def codec_name(encoding: str) -> str:
    return encoding if encoding == "utf-8" else f"{encoding}-le"


def unit_bytes(encoding: str) -> int:
    return int(encoding[4:]) // 8


@pytest.fixture
def read_chars(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many characters were looked through for line ends, each time."""
    read: list[int] = []
    line_end = re.compile(r"\r\n|\n|\r")

    class Counting:
        def finditer(self, text: str) -> Iterator[re.Match[str]]:
            read.append(len(text))
            return line_end.finditer(text)

    monkeypatch.setattr(positions, "_LINE_END", Counting())
    return read


def test_a_key_in_a_big_document_reads_a_few_lines_of_it(read_chars: list[int]) -> None:
    document = OpenDocument("file:///a.py", source="    value = 1\n" * 100_000, version=1)
    document.locate(Position(50_000, 3))
    for column in range(4, 24):
        type_at(document, 50_000, column, "x")
        typed_at(document, Position(50_000, column + 1))()

    assert len(read_chars) == 20
    assert max(read_chars) < 10


def type_at(document: OpenDocument, line: int, column: int, text: str, removed: int = 0) -> None:
    place = Range(start=Position(line, column), end=Position(line, column + removed))
    document.apply_change(TextDocumentContentChangePartial(range=place, text=text))


@pytest.mark.parametrize("seed", range(10))
def test_what_was_typed_is_what_stands_there_now(seed: int) -> None:
    chance = random.Random(seed)
    document = OpenDocument("file:///a.py", source="ab\ncd", version=1)
    typed = typed_at(document, Position(0, 1))
    now = ""

    for _ in range(50):
        start, end = sorted(chance.choices(range(len(now) + 1), k=2))
        new = chance.choice(["", "x", "()", "yz"])
        type_at(document, 0, 1 + start, new, end - start)
        now = now[:start] + new + now[end:]

        assert typed() == now

    type_at(document, 1, 0, "z")
    assert typed() is None


def test_an_editor_that_sends_the_whole_text_types_as_well() -> None:
    document = OpenDocument("file:///a.py", source="x = \nfoo", version=1)
    typed = typed_at(document, Position(0, 4))

    document.apply_change(TextDocumentContentChangeWholeDocument(text="x = f\nfoo"))
    assert typed() == "f"
    document.apply_change(TextDocumentContentChangeWholeDocument(text="x = fo\nfoo"))
    assert typed() == "fo"
    document.apply_change(TextDocumentContentChangeWholeDocument(text="y = fo\nfoo"))
    assert typed() is None


def test_what_is_no_longer_known_is_no_typing() -> None:
    document = OpenDocument("file:///a.py", source="", version=1)
    typed = typed_at(document, Position(0, 0))

    for _ in range(300):
        type_at(document, 0, 0, "x")

    assert typed() is None
