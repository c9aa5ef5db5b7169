"""`LineStarts`: where the lines of a text begin, kept through its edits; `column_of`: a client's column in characters.

A key must be cheap in a document of many megabytes, too, and in a line of as many: what they read is as long as the
edit, or as the piece of the line they are given. They know LSP's line ends and units, and no documents.
"""

from __future__ import annotations

import io
import re
from array import array
from bisect import bisect_left, bisect_right
from itertools import accumulate
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
        self._starts = array("q", accumulate(map(len, io.StringIO(text, newline="")), initial=0))
        if len(self._starts) > 1 and not text.endswith(("\n", "\r")):  # no line begins at the end
            self._starts.pop()
        self._shifted = len(self._starts)  # the first line whose offset is to be shifted
        self._shift = 0

    def __len__(self) -> int:
        """The number of lines; one more than there are line ends."""
        return len(self._starts)

    def __getitem__(self, line: int) -> int:
        """Where a line begins."""
        return self._starts[line] + (self._shift if line >= self._shifted else 0)

    def replace(self, start: int, end: int, inserted: int, near: str) -> None:
        r"""Follows an edit.

        Args:
            start: Where it begins, in characters.
            end: Where what was replaced ended.
            inserted: How many characters stand in place of what was replaced.
            near: The text after the edit, from one character before `start` to two behind what was inserted: a carriage
                return and a line feed may come together or part at either end.
        """
        origin = max(0, start - 1)
        # Those whose line end may be another now; the first line begins at 0 in any case.
        first = max(1, bisect_left(self, start))
        last = max(first, bisect_right(self, end + 1))
        ends = (origin + match.end() for match in _LINE_END.finditer(near))
        between = array("q", (at for at in ends if at <= start + inserted + 1))
        self._move_shift(last)
        self._starts[first:last] = between
        self._shifted = first + len(between)
        self._shift += inserted - (end - start)

    def _move_shift(self, line: int) -> None:
        """Makes the shift begin at a line."""
        low, high = sorted((self._shifted, line))
        by = self._shift if line > self._shifted else -self._shift
        if by:
            self._starts[low:high] = array("q", (start + by for start in self._starts[low:high]))
        self._shifted = line


def units_of(text: str, codec: PositionCodec) -> int:
    """How long a text is in a client's units."""
    if text.isascii():
        return len(text)
    unit_bytes = _UNIT_BYTES[PositionEncodingKind(codec.encoding)]
    return len(text.encode(_CODECS[unit_bytes], "surrogatepass")) // unit_bytes


def column_of(text: str, character: int, codec: PositionCodec) -> tuple[int, int]:
    """A client's column inside a text, in characters and in the client's units.

    A column beyond the end is the end, and one inside a character is the end of the character.

    Args:
        text: Without any line end.
        character: In the client's units.
        codec: Says which they are.
    """
    head = text[:character]  # a character is at least one unit
    if head.isascii():
        return len(head), len(head)
    unit_bytes = _UNIT_BYTES[PositionEncodingKind(codec.encoding)]
    name = _CODECS[unit_bytes]
    try:
        encoded = head.encode(name)
    except UnicodeEncodeError:  # with halves of pairs, which are characters by themselves here, and one pair there
        return _counted(head, character, codec)
    cut = min(len(encoded), character * unit_bytes)
    while cut < len(encoded) and _is_inside(encoded, cut, unit_bytes):
        cut += unit_bytes
    return len(encoded[:cut].decode(name)), cut // unit_bytes


def _counted(head: str, character: int, codec: PositionCodec) -> tuple[int, int]:
    n_units = 0
    for n_chars, char in enumerate(head):
        if n_units >= character:
            return n_chars, n_units
        n_units += units_of(char, codec)
    return len(head), n_units


def _is_inside(encoded: bytes, at: int, unit_bytes: int) -> bool:
    """True where a unit goes on with a character that has begun."""
    if unit_bytes == 1:
        return encoded[at] & 0xC0 == 0x80  # noqa: PLR2004 - a continuation byte of UTF-8
    is_low = unit_bytes == 2 and encoded[at + 1] & 0xFC == 0xDC  # noqa: PLR2004 - the second half of a pair
    return is_low and at >= 2 and encoded[at - 1] & 0xFC == 0xD8  # noqa: PLR2004 - and the first before it
