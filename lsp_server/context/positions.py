"""`LineStarts`: where the lines of a text begin, kept through its edits; `column_of`: a client's column in characters.

Both cost time by the length of the edit or the line, not of the document: a key must be cheap in one of many
megabytes, too. They know LSP's line ends and units, and no documents.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING

from lsprotocol.types import PositionEncodingKind

if TYPE_CHECKING:
    from pygls.workspace import PositionCodec

_LINE_END = re.compile(r"\r\n|\n|\r")
_UNIT_BYTES = {PositionEncodingKind.Utf8: 1, PositionEncodingKind.Utf16: 2, PositionEncodingKind.Utf32: 4}
_CODECS = {1: "utf-8", 2: "utf-16-le", 4: "utf-32-le"}


class LineStarts:
    """The offsets at which lines begin. Those behind the newest edit are kept as they were, with one shift for all.

    Args:
        text: The text.
    """

    def __init__(self, text: str) -> None:
        self._starts = array("q", [0])
        self._starts.extend(end.end() for end in _LINE_END.finditer(text))
        self._shifted = len(self._starts)  # the first line whose offset is to be shifted
        self._shift = 0

    def __len__(self) -> int:
        """The number of lines; one more than there are line ends."""
        return len(self._starts)

    def __getitem__(self, line: int) -> int:
        """Where a line begins."""
        return self._starts[line] + (self._shift if line >= self._shifted else 0)

    def replace(self, start: int, end: int, text: str, inserted: int) -> None:
        """Follows an edit.

        Args:
            start: Where it begins, in characters.
            end: Where what was replaced ended.
            text: The text after it.
            inserted: How many characters stand in place of what was replaced.
        """
        # A carriage return and a line feed may come together or part at either end: the lines beside are read as well.
        first = max(0, bisect_right(self, start) - 2)
        last = min(len(self), bisect_right(self, end) + 1)  # the first that stays
        moved = inserted - (end - start)
        self._move_shift(last)
        begin = self._starts[first]
        stop = self[last] + moved if last < len(self) else len(text) + 1
        found = (match.end() for match in _LINE_END.finditer(text, begin, min(stop, len(text))))
        between = array("q", (at for at in found if at < stop))
        self._starts[first + 1 : last] = between
        self._shifted = first + 1 + len(between)
        self._shift += moved

    def _move_shift(self, line: int) -> None:
        """Makes the shift begin at a line."""
        low, high = sorted((self._shifted, line))
        by = self._shift if line > self._shifted else -self._shift
        if by:
            self._starts[low:high] = array("q", (start + by for start in self._starts[low:high]))
        self._shifted = line


def column_of(line: str, character: int, codec: PositionCodec) -> tuple[int, int]:
    """A client's column inside a line, in characters and in the client's units.

    A column beyond the end is the end, and one inside a character is the end of the character.

    Args:
        line: Without its line end.
        character: In the client's units.
        codec: Says which they are.
    """
    head = line[:character]  # a character is at least one unit
    if head.isascii():
        return len(head), len(head)
    unit_bytes = _UNIT_BYTES[PositionEncodingKind(codec.encoding)]
    name = _CODECS[unit_bytes]
    encoded = head.encode(name, "surrogatepass")
    cut = min(len(encoded), character * unit_bytes)
    while cut < len(encoded) and _is_inside(encoded, cut, unit_bytes):
        cut += unit_bytes
    return len(encoded[:cut].decode(name, "surrogatepass")), cut // unit_bytes


def _is_inside(encoded: bytes, at: int, unit_bytes: int) -> bool:
    """True where a unit goes on with a character that has begun."""
    if unit_bytes == 1:
        return encoded[at] & 0xC0 == 0x80  # noqa: PLR2004 - a continuation byte of UTF-8
    is_low = unit_bytes == 2 and encoded[at + 1] & 0xFC == 0xDC  # noqa: PLR2004 - the second half of a pair
    return is_low and at >= 2 and encoded[at - 1] & 0xFC == 0xD8  # noqa: PLR2004 - and the first before it
