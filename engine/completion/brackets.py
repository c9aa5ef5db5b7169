"""Brackets and quotes of a few lines, counted without a grammar.

One scanner for all languages: it knows strings, escapes and code inside strings, that an apostrophe may be a lifetime
or stand in a word, and, where a language has them, type parameters in angle brackets. It knows no comments, so its
answers are good for comparing a line with the same line and a few characters more, not for judging a file; what a
place lies in `engine.completion.lexical` says. A scan goes on where another ended, so a line is read once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from engine.completion.words import is_word

if TYPE_CHECKING:
    from collections.abc import Iterator

Apostrophes = Literal["guessed", "quotes", "transposes"]

CLOSING = {"(": ")", "[": "]", "{": "}"}
CLOSERS = frozenset(CLOSING.values())

QUOTES = frozenset("\"'`")
# Of Python, C and SQL; no two letters as in `it's`, and no `l` as in `l'eau`.
_STRING_PREFIX = re.compile(r"(?<!\w)(?:[bfruBFRULNEX]|[bf]r|r[bf]|B[rR]|F[rR]|R[bBfF]|u8)\Z")
_INTERPOLATED = re.compile(r"(?:(?<!\w)[rRbB]?[fF][rR]?|\$@?)\Z")  # such as f"{a}" and $"{a}"
_CODE = "${"  # in most languages' strings
_CODE_SIGN = re.compile(r"(?:\A|[^\\])[$#]\Z")
_BRACE = "\0"
_MOST_OPEN_IN_STRINGS = 6
_PREFIX_CHARS = 3
_STRING_CHARS = 256  # behind an apostrophe, where the one that ends its string is looked for
_SIGNS = re.compile(r"[()\[\]{}\"'`]")
_SIGNS_AND_ANGLES = re.compile(
    r"[()\[\]{}\"'`;]|(?<=\w)<(?![\s=</])|(?<=::)<|(?<![-=\s])>(?!=)|(?<![-=])>(?=[\s>(),;]|\Z)"
)
_SIGNS_IN_STRINGS = re.compile(r"[\\\"'`\n{}$#]")


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
        return self.openers[-1:] in QUOTES

    @property
    def n_unmatched(self) -> int:
        """How many signs that are."""
        return len(self.closers) + len(self.openers)

    def is_no_worse_than(self, other: Residue) -> bool:
        """Whether nothing is closed or left open that is not in another residue."""
        return self.closers == other.closers and other.openers.startswith(self.openers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Where a scan stands.

    Attributes:
        closers: Closing brackets without an opening one so far.
        stack: What is open.
        strings: For each open quote, what begins code inside its string, and a sign for each bracket open there.
        with_angles: Whether angle brackets count, which enclose type parameters.
        apostrophes: What they are; quotes begin a string even before a word that none ends, and transposes none.
    """

    closers: tuple[str, ...] = ()
    stack: tuple[str, ...] = ()
    strings: tuple[str, ...] = ()
    with_angles: bool = False
    apostrophes: Apostrophes = "guessed"

    @property
    def residue(self) -> Residue:
        """What is unmatched so far; what looked like type parameters and was not closed is none."""
        return Residue(closers="".join(self.closers), openers="".join(each for each in self.stack if each != "<"))

    def ended_in_strings(self) -> Iterator[list[Scan]]:
        """For open strings near, the scan with nothing open in it, with one sign, and so on up to itself."""
        n_open = len(self.stack)
        for n_kept in range(max(1, n_open - _MOST_OPEN_IN_STRINGS), n_open + 1):
            if self.stack[n_kept - 1] in QUOTES:
                yield [self._up_to(n) for n in range(n_kept, n_open + 1)]

    def _up_to(self, n_open: int) -> Scan:
        stack = self.stack[:n_open]
        return replace(self, stack=stack, strings=self.strings[: sum(sign in QUOTES for sign in stack)])

    def over(self, text: str, start: int = 0, end: int | None = None) -> Scan:
        """The scan of a text from `start` to `end`; what stands around that is looked at, but not counted."""
        closers, stack, strings = list(self.closers), list(self.stack), list(self.strings)
        at, end = start, len(text) if end is None else end
        signs = _SIGNS_AND_ANGLES if self.with_angles else _SIGNS
        while at < end:
            in_string = bool(stack) and stack[-1] in QUOTES
            found = (_SIGNS_IN_STRINGS if in_string else signs).search(text, at, end)
            if found is None:
                break
            at, char = found.start(), found[0]
            if in_string:
                at += _in_string(text, at, stack, strings, closers)
                continue
            if char in CLOSING or char == "<":
                stack.append(char)
            elif char in CLOSERS or char == ">":
                _close(char, stack, closers)
            elif char == ";":
                _drop_angles(stack)
            elif char != "'" or _opens_string(text, at, self.apostrophes):
                stack.append(char)
                strings.append(
                    _CODE if char == "`" else "{" if _INTERPOLATED.search(text[max(0, at - _PREFIX_CHARS) : at]) else ""
                )
            at += 1
        return replace(self, closers=tuple(closers), stack=tuple(stack), strings=tuple(strings))


def residue(text: str) -> Residue:
    """The brackets and quotes of `text` that have no partner in it."""
    return Scan().over(text).residue


def _in_string(text: str, at: int, stack: list[str], strings: list[str], closers: list[str]) -> int:
    """Reads on inside a string; returns the number of characters read."""
    char, code = text[at], strings[-1].rstrip(_BRACE)
    if char == "\\" or (code == "{" and text.startswith("{{", at)):
        return 2
    opener = next((each for each in (code, "${", "#{") if each and text.startswith(each, at)), None)
    if char == "{" and opener is None and _CODE_SIGN.search(text[max(0, at - _PREFIX_CHARS) : at]):
        opener = "{"  # behind its sign, which was read before
    if opener is not None:
        stack.append("{")
        strings[-1] = strings[-1].replace(code, code or _CODE, 1)  # so one that ends no code is told from then on
        return len(opener)
    if char == stack[-1] or (char == "\n" and stack[-1] != "`"):  # others end with their line
        stack.pop()
        strings.pop()
    elif char == "{":
        strings[-1] += _BRACE
    elif char == "}" and strings[-1].endswith(_BRACE):
        strings[-1] = strings[-1][:-1]
    elif char == "}" and code:
        closers.append(char)
    return 1


def _close(char: str, stack: list[str], closers: list[str]) -> None:
    if char == ">":
        if stack and stack[-1] == "<":
            stack.pop()
        else:
            closers.append(char)
        return
    _drop_angles(stack)  # they were signs of comparison
    if stack and CLOSING.get(stack[-1]) == char:
        stack.pop()
    else:
        closers.append(char)


def _drop_angles(stack: list[str]) -> None:
    while stack and stack[-1] == "<":
        stack.pop()


def _opens_string(text: str, at: int, apostrophes: Apostrophes) -> bool:
    """Whether the apostrophe at `at` opens a string.

    It does not in `don't`, in `&'a`, in `(a)'`, nor, where that is guessed, before a word that none ends.
    """
    before = text[max(0, at - _PREFIX_CHARS) : at]
    line = text[at + 1 : at + 1 + _STRING_CHARS].partition("\n")[0]
    is_alone = apostrophes == "guessed" and line[:1].isalpha() and "'" not in line
    if before.endswith(("&", "<", ")", "]")) or is_alone:
        return False
    return not is_word(before[-1:]) or (apostrophes != "transposes" and _STRING_PREFIX.search(before) is not None)
