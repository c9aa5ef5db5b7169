"""What of a decoded text must go, so that it never gets in the way of the text around it.

Everything here answers with a length: a suggestion is one slice of what was decoded, and nothing is invented. Rules
about whole lines are `engine.completion.repetition`. Strings only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from engine.completion.brackets import CLOSERS, CLOSING, Residue, residue

if TYPE_CHECKING:
    from collections.abc import Iterator

# No text of a person: half a character, a carriage return before a line end that the editor writes, other controls.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ufffd]")
_WORD_END = re.compile(r"\w+\Z")
_QUOTES = frozenset("\"'`")
_PIECES = frozenset(CLOSING) | CLOSERS | _QUOTES


def printable_length(text: str) -> int:
    """Characters before the first that no person types."""
    found = _UNPRINTABLE.search(text)
    return found.start() if found else len(text)


def fitting_length(head: str, body: str, rest: str) -> int:
    """How much of a line's new text fits between what stands before and behind the cursor on that line.

    Brackets and quotes that the rest closes are not closed a second time, and text that the rest begins with is not
    repeated. A word is not glued to the next one.

    Args:
        head: The line before the cursor.
        body: New text.
        rest: The line behind the cursor.
    """
    if _joins(head, rest):
        return 0  # inside a word: whatever is put there spoils it
    length = _balanced_length(head, body, rest) if rest.strip() else len(body)
    kept = body[:length].rstrip()
    if _joins(kept, rest):
        kept = _WORD_END.sub("", kept).rstrip()
    if rest[:1] in _QUOTES and (len(kept) - len(kept.rstrip("\\"))) % 2:
        kept = kept[:-1].rstrip()  # it would take the quote's meaning away
    return len(kept)


def leaving_length(head: str, body: str, rest: str) -> int | None:
    """Where the new text leaves a bracket or a string that the rest of the line closes; None where it does not.

    Whatever follows there belongs behind the rest.
    """
    if not _closes(rest):
        return None
    before, text = residue(head + rest), head + body + rest
    for at, char in enumerate(body):
        closes = char in CLOSERS or (char in _QUOTES and residue(text, len(head) + at).openers.endswith(char))
        if (
            closes
            and not _no_worse(residue(head + body[: at + 1] + rest), before)
            and _no_worse(residue(head + body[:at] + rest), before)
        ):
            return at
    return None


def closed_length(enclosing: str, body: str, closers: str) -> int:
    """How much of `body` stands before a bracket that closes what the next line closes.

    Args:
        enclosing: The document from where the next line's brackets were opened to the cursor.
        body: New text, of one or several lines.
        closers: The closing brackets that the next line begins with.
    """
    if not residue(body).closers:
        return len(body)
    wanted = residue(f"{enclosing}\n{closers}").closers
    lengths = (len(body), *_bracket_places(body))
    fits = (at for at in lengths if len(residue(f"{enclosing}{body[:at]}\n{closers}").closers) <= len(wanted))
    return next(fits, len(body))


def whole_words_length(text: str, head: str, document: str) -> int:
    """How much of a text is left without a last word that may be half of one, as where a limit cut it.

    A word that stands in the document is whole. One that does not may be the beginning of a longer one.

    Args:
        text: What was decoded, as far as it is worth showing.
        head: The cursor's line before the cursor, which may begin the word.
        document: Text to know words from, without the word under the cursor.
    """
    found = _WORD_END.search(head + text)
    if found is None or re.search(rf"(?<!\w){found.group()}(?!\w)", document):
        return len(text)
    return len(text[: max(0, found.start() - len(head))].rstrip())


def _balanced_length(head: str, body: str, rest: str) -> int:
    before, closes = residue(head + rest), _closes(rest)
    body = body[: leaving_length(head, body, rest)].rstrip()
    lengths = (*_overlaps(body, rest.strip()), len(body), *(_bracket_places(body) if closes else ()))
    fits = (at for at in lengths if not closes or _no_worse(residue(head + body[:at] + rest), before))
    return next(fits, len(body))


def _closes(rest: str) -> bool:
    return any(char in CLOSERS or char in _QUOTES for char in rest)


def _no_worse(after: Residue, before: Residue) -> bool:
    return after.closers == before.closers and before.openers.startswith(after.openers)


def _overlaps(body: str, rest: str) -> Iterator[int]:
    """Lengths of the body without an end that the rest begins with, the longest such end first."""
    for n_chars in range(min(len(body), len(rest)), 0, -1):
        start = len(body) - n_chars
        whole = n_chars == len(rest) or not _joins(rest[:n_chars], rest[n_chars:])
        if body.endswith(rest[:n_chars]) and whole and not _joins(body[:start], body[start:]):
            yield start


def _bracket_places(body: str) -> Iterator[int]:
    return (at for at in range(len(body) - 1, -1, -1) if body[at] in _PIECES)


def _joins(left: str, right: str) -> bool:
    """Whether a word goes on from one text into the other."""
    return bool(left and right) and _is_word(left[-1]) and _is_word(right[0])


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"
