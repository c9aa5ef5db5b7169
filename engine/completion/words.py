"""What a word is to an editor: a run of letters, digits and underscores, or a run of operator signs."""

from __future__ import annotations

_OPERATORS = frozenset("=<>!+-*/%&|^~")


def is_word(char: str) -> bool:
    """True for a letter, a digit or an underscore; False for "", which stands beyond a text's end."""
    return char.isalnum() or char == "_"


def joins(left: str, right: str) -> bool:
    """Whether a word goes on from one text into the other."""
    return bool(left and right) and is_word(left[-1]) and is_word(right[0])


def inside_word(text: str, at: int) -> bool:
    """True where the characters before and behind `at` belong to one word; the text's ends are no inside."""
    if not 0 < at < len(text):
        return False
    before, behind = text[at - 1], text[at]
    return (is_word(before) and is_word(behind)) or (before in _OPERATORS and behind in _OPERATORS)


def escapes_next(text: str) -> bool:
    """Whether a backslash at a text's end takes the next sign's meaning away."""
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1
