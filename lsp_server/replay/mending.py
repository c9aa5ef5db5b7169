"""`next_move`: what a person does next who has closers of the editor behind the cursor.

They type over a closer that the text wants there, step down to one that waits on a line of its own, pull it up where
the text has it earlier, and delete one that the text has not, or has later, as soon as they see it. It reads brackets
and strings only; where that misleads it, the text still comes out right, for some keys more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lsp_server.replay.auto_close import BRACKETS, QUOTES
from lsp_server.replay.typist import typed_with

_BRACKET_OR_STRING = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|[()\[\]{}]", re.DOTALL)
_END_OF_STRING = {
    '"': re.compile(r"(?:\\.|[^\"\\\n])*\"", re.DOTALL),
    "'": re.compile(r"(?:\\.|[^'\\\n])*'", re.DOTALL),
    "`": re.compile(r"(?:\\.|[^`\\])*`", re.DOTALL),
}
_BY_ONE_KEY = re.compile(r"\n|[ \t]+|\S")  # Delete, and with Ctrl all blanks at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One thing done; one of the first three is more than 0.

    Attributes:
        types: Characters of the text that one key writes.
        steps: Characters behind the cursor that it goes over, by one key.
        deletes: Characters behind the cursor that are removed.
        keys: How many keys that takes.
    """

    types: int = 0
    steps: int = 0
    deletes: int = 0
    keys: int = 1


def next_move(wanted: str, behind: str) -> Move:
    """Brings the document nearer to what is wanted.

    Args:
        wanted: What is still to be written.
        behind: The closers that the editor has put behind the cursor; one of both is not empty.
    """
    gap = behind[: len(behind) - len(behind.lstrip())]
    closed_at = _closed_at(wanted, behind[len(gap) :]) if behind else 0
    if closed_at is None:
        return _deletion(behind[: len(gap) + 1])
    if gap and closed_at == 0:
        return _deletion(gap)
    if gap and closed_at == len(gap) and wanted.startswith(gap):
        return Move(steps=len(gap))
    return Move(types=typed_with(wanted, 0))


def _deletion(text: str) -> Move:
    return Move(deletes=len(text), keys=len(_BY_ONE_KEY.findall(text)))


def _closed_at(wanted: str, behind: str) -> int | None:
    """Where the text closes what the first closer behind the cursor would close; None if nowhere."""
    quote = next((char for char in behind if char in QUOTES), None)
    if quote is not None:  # the cursor is inside a string, and so is all that comes before its end
        found = _END_OF_STRING[quote].match(wanted)
        end = found.end() - 1 if found else None
        if behind[0] == quote:
            return end
        wanted = wanted[:end]
    opened: list[str] = []
    for found in _BRACKET_OR_STRING.finditer(wanted):
        piece = found.group()
        if piece in BRACKETS:
            opened.append(BRACKETS[piece])
        elif len(piece) == 1 and not opened:
            return found.start() if piece == behind[0] else None
        elif opened[-1:] == [piece]:
            opened.pop()
    return None
