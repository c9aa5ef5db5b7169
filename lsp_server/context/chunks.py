"""`ChunkedText`: a text in pieces, so that a key costs time by a piece's length, not by the document's or the line's.

A string can only be copied whole: 20 MB with one emoji in it are 80 MB a key. Each piece also remembers how long it is
in the client's units, so that a column far inside a line is found without reading the line. It knows no lines and no
documents.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from lsp_server.context.positions import column_of, units_of

if TYPE_CHECKING:
    from pygls.workspace import PositionCodec

CHUNK_CHARS = 32_768


class ChunkedText:
    """A text that can be cut and edited.

    Args:
        text: What it is at first.
        codec: Says in which units columns are counted.
    """

    def __init__(self, text: str, codec: PositionCodec) -> None:
        self._codec = codec
        self._chunks = _cut(text) or [""]
        self._units: list[int | None] = [None] * len(self._chunks)  # of each; None where not counted yet
        self._starts = [0]  # of each, and the end of the last
        self._count_from(0)

    def __len__(self) -> int:
        """The number of characters."""
        return self._starts[-1]

    @property
    def whole(self) -> str:
        """All of it; it costs time by the text's length."""
        return "".join(self._chunks)

    def cut(self, start: int, stop: int) -> str:
        """What stands between two offsets."""
        stop = min(stop, len(self))
        if start >= stop:
            return ""
        first, last = self._index(start), self._index(stop - 1)
        chunks = self._chunks[first : last + 1]
        chunks[-1] = chunks[-1][: stop - self._starts[last]]
        chunks[0] = chunks[0][start - self._starts[first] :]
        return "".join(chunks)

    def replace(self, start: int, stop: int, text: str) -> None:
        """Puts a text in place of what stands between two offsets."""
        first, last = self._index(start), self._index(stop)
        head = self._chunks[first][: start - self._starts[first]]
        merged = head + text + self._chunks[last][stop - self._starts[last] :]
        end = last + 1
        if len(merged) < CHUNK_CHARS // 2 and end < len(self._chunks):  # many small ones would cost as much as one
            merged += self._chunks[end]
            end += 1
        chunks = _cut(merged) or ([] if end - first < len(self._chunks) else [""])
        self._chunks[first:end] = chunks
        self._units[first:end] = [None] * len(chunks)
        self._count_from(first)

    def column(self, start: int, stop: int, character: int) -> tuple[int, int]:
        """Finds a client's column in a part of the text: its offset, and the same place in the client's units.

        A column beyond the end is the end, and one inside a character is the end of the character.

        Args:
            start: Where the part begins, and with it column 0.
            stop: Where it ends.
            character: The column, in the client's units.
        """
        at, n_units = start, 0
        index = self._index(start)
        while at < stop and n_units < character:
            chunk_start, chunk_stop = self._starts[index], self._starts[index + 1]
            end = min(stop, chunk_stop)
            is_whole = (at, end) == (chunk_start, chunk_stop)
            if is_whole and n_units + (units := self._units_of(index)) <= character:
                at, n_units = end, n_units + units
            else:
                n_chars, units = column_of(
                    self._chunks[index][at - chunk_start : end - chunk_start], character - n_units, self._codec
                )
                at, n_units = at + n_chars, n_units + units
            index += 1
        return at, n_units

    def _units_of(self, index: int) -> int:
        units = self._units[index]
        if units is None:
            units = self._units[index] = units_of(self._chunks[index], self._codec)
        return units

    def _index(self, offset: int) -> int:
        """Of the chunk that holds a character; the last one for what is behind all."""
        return min(bisect_right(self._starts, offset), len(self._chunks)) - 1

    def _count_from(self, index: int) -> None:
        self._starts[index:] = accumulate(map(len, self._chunks[index:]), initial=self._starts[index])


def _cut(text: str) -> list[str]:
    if 0 < len(text) <= 2 * CHUNK_CHARS:
        return [text]
    return [text[start : start + CHUNK_CHARS] for start in range(0, len(text), CHUNK_CHARS)]
