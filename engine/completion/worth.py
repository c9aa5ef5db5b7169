"""The least value of a suggestion: it must save a key against what the person and the editor do without it.

To accept is a key, too; an editor closes what is opened by itself. Strings only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from engine.completion.brackets import QUOTES, residue
from engine.completion.languages import EMPTY_COMMENT
from engine.completion.words import escapes_next

if TYPE_CHECKING:
    from engine.completion.line import Line

_LONE_SIGN = re.compile(r"[^\w\s]")
_EMPTY_PAIR = re.compile(r"\(\)|\[\]|\{\}|\"\"|''|``|<>")
_WORD = re.compile(r"\w")
_STRING_PREFIX = re.compile(r"(?<!\w)[A-Za-z$@]{1,2}\Z")
_GOES_ON = re.compile(r"[=,.&|?:@#$<]\Z|(?<!\\)(?:\\\\)*\\\Z|(?<!-)[-=]>\Z|//\Z|/\*+\Z")
_BEGINS_WORD = re.compile(r"(?:\A|\s)[-+!~]{1,2}\Z")  # such as an option's `--`; `i--` is whole

_OPENED_MARK = re.compile(r"(?:(?<=[(\[])|\s+)(?:``|\*\*|~~)\Z")  # of Markdown and the like


def is_worth_showing(text: str, line: Line) -> bool:
    """Whether a text is worth a person's look.

    Args:
        text: What would be inserted.
        line: The cursor's line.
    """
    sign = text.strip()
    if not sign or _LONE_SIGN.fullmatch(sign) or _EMPTY_PAIR.fullmatch(sign):
        return False
    if not line.head.strip() and EMPTY_COMMENT.fullmatch(sign):
        return False
    if _WORD.search(sign):
        return True
    return not _is_unfinished(sign, line) and not _BEGINS_WORD.search(line.head[-1:] + text.rstrip())


def saves_a_key(text: str) -> bool:
    """Whether it takes more keys to type a text than to accept it, which is one; a letter beyond ASCII may take two."""
    return len(text) > 1 or not text.isascii()


def _is_unfinished(sign: str, line: Line) -> bool:
    """Whether signs open something, and nothing that belongs there follows."""
    before, left = line.before.residue, line.scan_to(sign).residue
    opens = not before.openers.startswith(left.openers)
    return opens or (not residue(sign).closers and _GOES_ON.search(sign) is not None)


def without_opened_string(text: str, head: str, ender: str) -> str:
    """A text without a string at its end of which nothing is said yet.

    Args:
        text: What would be inserted.
        head: The cursor's line before the cursor.
        ender: What ends the string that the cursor stands in, or "".
    """
    quote = text[-1:]
    if ender and text.find(ender) == len(text) - len(ender):
        return text
    if (
        quote not in QUOTES
        or escapes_next(text[:-1])
        or residue(head + text if "\n" not in text else text).openers[-1:] != quote
    ):
        return text
    return _STRING_PREFIX.sub("", text.rstrip(quote)).rstrip()


def without_opened_mark(text: str) -> str:
    """A text for people without a mark at its end of which nothing is said yet, such as of code or bold type."""
    return _OPENED_MARK.sub("", text)
