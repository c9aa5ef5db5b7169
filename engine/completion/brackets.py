"""Brackets and quotes of a few lines, counted without a grammar.

One scanner for all languages: it knows strings and escapes, and that an apostrophe may be a lifetime or stand in a
word. It knows no comments, so its answers are good for comparing a line with the same line and a few characters more,
not for judging a file. No syntax tree: the grammars that the evaluation uses pin an old tree-sitter, a broken line is
what an editor has under its cursor most of the time, and brackets and indentation say enough about where to end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CLOSING = {"(": ")", "[": "]", "{": "}"}
CLOSERS = frozenset(CLOSING.values())

_QUOTES = frozenset("\"'`")
_STRING_PREFIX = re.compile(r"(?<!\w)[A-Za-z]{1,2}\Z")  # such as Python's f and rb
_PREFIX_CHARS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Residue:
    """What stays unmatched.

    Attributes:
        closers: Closing brackets whose opening one stands before the text, in their order.
        openers: Brackets and quotes that are still open at its end, outermost first.
    """

    closers: str
    openers: str

    @property
    def in_string(self) -> bool:
        """Whether the text ends inside a string."""
        return self.openers[-1:] in _QUOTES


def residue(text: str) -> Residue:
    """The brackets and quotes of `text` that have no partner in it."""
    closers: list[str] = []
    stack: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if stack and stack[-1] in _QUOTES:
            if char == "\\":
                at += 1
            elif char == stack[-1] or (char == "\n" and stack[-1] != "`"):  # others end with their line at the latest
                stack.pop()
        elif char in CLOSING:
            stack.append(char)
        elif char in CLOSERS:
            if stack and CLOSING[stack[-1]] == char:
                stack.pop()
            else:
                closers.append(char)
        elif char in _QUOTES and (char != "'" or _opens_string(text, at)):
            stack.append(char)
        at += 1
    return Residue(closers="".join(closers), openers="".join(stack))


def _opens_string(text: str, at: int) -> bool:
    """Whether the apostrophe at `at` opens a string: not in `don't`, `&'a`, and where its line has no second one."""
    before = text[max(0, at - _PREFIX_CHARS) : at]
    if before.endswith(("&", "<")):
        return False
    if before and (before[-1].isalnum() or before[-1] == "_") and not _STRING_PREFIX.search(before):
        return False
    line_end = text.find("\n", at)
    return "'" in text[at + 1 : line_end if line_end >= 0 else len(text)]
