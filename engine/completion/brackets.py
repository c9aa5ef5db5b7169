"""Brackets and quotes of a few lines, counted without a grammar.

One scanner for all languages: it knows strings, escapes and code inside strings, and that an apostrophe may be a
lifetime or stand in a word. It knows no comments, so its answers are good for comparing a line with the same line and a
few characters more, not for judging a file. No syntax tree: the grammars that the evaluation uses pin an old
tree-sitter, a broken line is what an editor has under its cursor most of the time, and brackets and indentation say
enough about where to end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CLOSING = {"(": ")", "[": "]", "{": "}"}
CLOSERS = frozenset(CLOSING.values())

_QUOTES = frozenset("\"'`")
_STRING_PREFIX = re.compile(r"(?<!\w)[A-Za-z]{1,2}\Z")  # such as Python's f and rb
_INTERPOLATED = re.compile(r"(?:(?<!\w)[rRbB]?[fF][rR]?|\$@?)\Z")  # such as f"{a}" and $"{a}"
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


def residue(text: str, until: int | None = None) -> Residue:
    """The brackets and quotes of `text`, up to `until`, that have no partner in it."""
    closers: list[str] = []
    stack: list[str] = []
    strings: list[str] = []  # for each open quote, what begins code inside its string
    at, until = 0, len(text) if until is None else until
    while at < until:
        char = text[at]
        if stack and stack[-1] in _QUOTES:
            at += _in_string(text, at, stack, strings, closers)
            continue
        if char in CLOSING:
            stack.append(char)
        elif char in CLOSERS:
            _close(char, stack, closers)
        elif char in _QUOTES and (char != "'" or _opens_string(text, at)):
            stack.append(char)
            strings.append(
                "${" if char == "`" else "{" if _INTERPOLATED.search(text[max(0, at - _PREFIX_CHARS) : at]) else ""
            )
        at += 1
    return Residue(closers="".join(closers), openers="".join(stack))


def _in_string(text: str, at: int, stack: list[str], strings: list[str], closers: list[str]) -> int:
    """Reads on inside a string; returns the number of characters read."""
    char, code = text[at], strings[-1]
    if char == "\\" or (code == "{" and text.startswith("{{", at)):
        return 2
    opener = next((each for each in (code, "${", "#{") if each and text.startswith(each, at)), None)
    if opener is not None:
        stack.append("{")
        return len(opener)
    if char == stack[-1] or (char == "\n" and stack[-1] != "`"):  # others end with their line
        stack.pop()
        strings.pop()
    elif char == "}" and code:
        closers.append(char)
    return 1


def _close(char: str, stack: list[str], closers: list[str]) -> None:
    if stack and CLOSING[stack[-1]] == char:
        stack.pop()
    else:
        closers.append(char)


def _opens_string(text: str, at: int) -> bool:
    """Whether the apostrophe at `at` opens a string: not in `don't` or `&'a`, nor before a word that none ends."""
    before, line = text[max(0, at - _PREFIX_CHARS) : at], text[at + 1 :].partition("\n")[0]
    if before.endswith(("&", "<")) or (line[:1].isalpha() and "'" not in line):
        return False
    return not (before and (before[-1].isalnum() or before[-1] == "_")) or _STRING_PREFIX.search(before) is not None
