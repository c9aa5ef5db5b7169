"""`AutoClose`: what VS Code does beside a key: it closes brackets and quotes, types over closers, splits pairs.

It knows no person and no server. The rules are VS Code's defaults with the pairs that most languages have. Strings are
seen by the quotes on the line, and by triple quotes above it; comments are not seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.completion.words import is_word

if TYPE_CHECKING:
    from collections.abc import Mapping

BRACKETS = {"(": ")", "[": "]", "{": "}"}
PAIRS = {**BRACKETS, '"': '"', "'": "'", "`": "`"}
QUOTES = frozenset("\"'`")

_BRACKETS_CLOSE_BEFORE = frozenset("'\"`;:.,=}])> \n\t")
_QUOTES_CLOSE_BEFORE = _BRACKETS_CLOSE_BEFORE - QUOTES
_STRING = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`")
_STRING_PREFIX = re.compile(r"(?<!\w)[bfruBFRU]\Z")  # f"..." closes, don't does not


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A change of the document around the cursor.

    Attributes:
        removed_before: Characters removed before the cursor.
        removed_behind: Characters removed behind it.
        text: What comes instead.
        before_cursor: How many characters of `text` the cursor stands behind then.
    """

    removed_before: int = 0
    removed_behind: int = 0
    text: str = ""
    before_cursor: int = 0


class AutoClose:
    """The text around the cursor of one document.

    Args:
        before: The document before the cursor.
        follows: The document behind the cursor.
        pairs: Closer by opener; an editor that closes nothing has none.

    Attributes:
        behind: What was put behind the cursor and still stands there: closers, each perhaps on a line of its own.
    """

    def __init__(self, before: str, follows: str, pairs: Mapping[str, str] = PAIRS) -> None:
        self._before, self._follows, self._pairs = before, follows, pairs
        self.behind = ""

    def typed(self, text: str) -> Edit:
        """One key: a character, or a line end with the indentation that it brings along."""
        types_over = self._types_over(text)
        closing = "" if types_over else self._closing(text)
        self.behind = closing + self.behind[types_over:]
        self._before += text
        return Edit(removed_behind=int(types_over), text=text + closing, before_cursor=len(text))

    def pasted(self, text: str) -> Edit:
        """Text that comes as a whole, such as a suggestion: nothing closes, and nothing is typed over."""
        self._before += text
        return Edit(text=text, before_cursor=len(text))

    def backspaced(self) -> Edit:
        """Takes the character before the cursor, and the closer that came with it."""
        opened = self._pairs.get(self._before[-1:])
        n_behind = int(opened is not None and self.behind[:1] == opened)
        self._before, self.behind = self._before[:-1], self.behind[n_behind:]
        return Edit(removed_before=1, removed_behind=n_behind)

    def deleted(self, chars: int) -> Edit:
        """Takes characters of `behind`."""
        self.behind = self.behind[chars:]
        return Edit(removed_behind=chars)

    def stepped(self, chars: int) -> None:
        """The cursor went over characters of `behind`."""
        self._before, self.behind = self._before + self.behind[:chars], self.behind[chars:]

    def _types_over(self, text: str) -> bool:
        escaped = text in QUOTES and self._before.endswith("\\")
        return self.behind[:1] == text and not escaped

    def _closing(self, text: str) -> str:
        """What comes behind the cursor with a key."""
        if text.startswith("\n"):
            opened = self._pairs.get(self._before[-1:])
            splits = opened in BRACKETS.values() and self.behind[:1] == opened
            return f"\n{_indentation(self._line)}" if splits else ""
        closer = self._pairs.get(text, "")
        next_char = (self.behind + self._follows)[:1]
        closes_before = _QUOTES_CLOSE_BEFORE if text in QUOTES else _BRACKETS_CLOSE_BEFORE
        if not closer or (next_char and next_char not in closes_before):
            return ""
        return closer if text not in QUOTES or self._begins_string() else ""

    def _begins_string(self) -> bool:
        last = self._before[-1:]
        if last in QUOTES or (is_word(last) and not _STRING_PREFIX.search(self._line)):
            return False
        in_long_string = any(self._before.count(3 * quote) % 2 for quote in "\"'")
        return not in_long_string and QUOTES.isdisjoint(_STRING.sub("", self._line))

    @property
    def _line(self) -> str:
        return self._before[self._before.rfind("\n") + 1 :]


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]
