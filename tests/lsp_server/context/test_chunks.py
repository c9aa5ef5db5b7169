"""A text in pieces against a string, through random edits in all encodings; and how much of it a key reads."""

from __future__ import annotations

import random

import pytest
from lsprotocol.types import Position, PositionEncodingKind, Range, TextDocumentContentChangePartial, TextDocumentItem
from pygls.workspace import PositionCodec

from lsp_server.context import chunks
from lsp_server.context.chunks import CHUNK_CHARS, ChunkedText
from lsp_server.context.documents import OpenDocument, OpenDocuments, cursor_context, typed_at
from lsp_server.context.positions import units_of

ENCODINGS = ["utf-8", "utf-16", "utf-32"]
PIECES = ["", "a", "\n", "\r", "\r\n", "é", "😀", "word ", "\u2028", "\ud83d", "\ude00", "x" * 30, "日本\r\n語", "\n\n"]


class Reference:
    """A document as LSP describes it, read from its start every time."""

    def __init__(self, text: str, codec: PositionCodec) -> None:
        self.text, self._codec = text, codec

    def offset(self, place: Position) -> int:
        starts = [0]
        for at, char in enumerate(self.text):
            if char == "\n" or (char == "\r" and self.text[at + 1 : at + 2] != "\n"):
                starts.append(at + 1)
        if place.line >= len(starts):
            return len(self.text)
        at, n_units = starts[place.line], 0
        while at < len(self.text) and self.text[at] not in "\r\n" and n_units < place.character:
            n_units += units_of(self.text[at], self._codec)
            at += 1
        return at

    def edit(self, place: Range, text: str) -> None:
        start, end = self.offset(place.start), self.offset(place.end)
        self.text = self.text[:start] + text + self.text[max(start, end) :]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("seed", range(6))
def test_a_document_is_what_the_editor_has_after_any_edits(
    monkeypatch: pytest.MonkeyPatch, encoding: str, seed: int
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_CHARS", 8)
    chance = random.Random(seed)
    codec = PositionCodec(encoding)
    reference = Reference("".join(chance.choices(PIECES, k=30)), codec)
    document = OpenDocument("untitled:a", source=reference.text, version=1, position_codec=codec)

    for _ in range(150):
        n_lines = reference.text.count("\n") + reference.text.count("\r") + 2
        places = [Position(chance.randrange(n_lines), chance.choice([0, 1, 2, 3, 9, 40, 2**31 - 1])) for _ in range(2)]
        places.sort(key=lambda place: (place.line, place.character))
        start, end = (places[0], places[0]) if chance.random() < 0.5 else places
        text = "".join(chance.choices(PIECES, k=chance.randint(0, 4)))
        place = Range(start, end)

        reference.edit(place, text)
        document.apply_change(TextDocumentContentChangePartial(range=place, text=text))

        assert document.source == reference.text
        for probe in places:
            assert document.locate(probe)[0] == reference.offset(probe)


def test_pieces_stay_of_a_size() -> None:
    chance = random.Random(0)
    text = ChunkedText("x" * 20 * CHUNK_CHARS, PositionCodec("utf-16"))
    for _ in range(2_000):
        start = chance.randrange(len(text) + 1)
        stop = min(len(text), start + chance.choice([0, 0, 1, 5 * CHUNK_CHARS]))
        text.replace(start, stop, "y" * chance.choice([0, 1, 10, 3 * CHUNK_CHARS]))

        assert max(map(len, text._chunks)) <= 3 * CHUNK_CHARS
        assert len(text._chunks) <= 3 + 4 * len(text) / CHUNK_CHARS


def opened(text: str, encoding: str) -> OpenDocument:
    documents = OpenDocuments(None, position_encoding=PositionEncodingKind(encoding))
    documents.put_text_document(TextDocumentItem(uri="untitled:a", language_id="", version=1, text=text))
    document = documents.find("untitled:a")
    assert document is not None
    return document


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("head", ["", "é", "😀"])
def test_a_key_far_inside_a_long_line_reads_a_piece_of_it(
    monkeypatch: pytest.MonkeyPatch, encoding: str, head: str
) -> None:
    read: list[int] = []

    def counting(text: str, codec: PositionCodec) -> int:
        read.append(len(text))
        return units_of(text, codec)

    monkeypatch.setattr(chunks, "units_of", counting)
    document = opened(head + "word " * 200_000, encoding)
    column = units_of(head, document.position_codec) + 900_000
    document.locate(Position(0, column))
    read.clear()

    for n in range(20):
        place = Position(0, column + n)
        document.apply_change(TextDocumentContentChangePartial(range=Range(place, place), text="x"))
        behind = Position(0, column + n + 1)
        typed_at(document, behind)()
        assert cursor_context(document, behind).prefix.endswith("x" * (n + 1))

    assert sum(read) <= 20 * 2 * CHUNK_CHARS
