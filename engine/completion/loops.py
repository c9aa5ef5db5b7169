"""Text that has begun to say the same over and over: in one line, or in lines that differ in indentation or numbers.

A small model that has run dry goes on so until its token limit. It is seen while it happens, at the text's end, and
costs some microseconds a token. What is repeated a few times may be meant, and so may what the document repeats itself,
such as a table of data or numbered cases. Lines told twice word for word are `engine.completion.repetition`. Strings
only.
"""

from __future__ import annotations

import re

from engine.completion.words import joins

_COPIES = 4  # of a unit that make a loop; of a long one three
_COPIES_OF_LONG, _LONG_CHARS = 3, 16
_MEANT_COPIES = 3  # ... that are left of numbers: lists and cases count
_MOST_TIMES_MORE = 2  # than the document repeats it itself
_DOCUMENT_CHARS = 4000  # before the cursor, in which the same may be repeated already
_TOKEN_CHARS = 12  # the last of them may have ended the loop: it is looked for that far before the text's end
_DENSE_CHARS = 16  # least length of a run without separators, such as FFFFFFFF or )))): shorter ones are meant

_FLATTENED = re.compile(r"\d+|\s+")
_NUMBER = re.compile(r"\d+")
_CLOSED = frozenset("()[]{}<>\"'`")


def loop_length(text: str, *, head: str = "", document: str = "") -> int | None:
    """How much of a decoded text to keep where it ends in a loop; None where it does not.

    Of words the first copy is kept, of numbers three, of mere signs none.

    Args:
        text: What was decoded so far.
        head: The cursor's line before the cursor, where the loop may have begun.
        document: The document before the cursor; what repeats itself there may go on.
    """
    flat, at = _flattened(head + text)
    for end in range(len(flat), max(0, len(flat) - _TOKEN_CHARS), -1):
        if at[end - 1] < len(head):
            return None
        period = _period(flat, end)
        if period is not None:
            start = _run_start(flat, end, period)
            n_kept = _kept_copies(flat[start:end], period, (head + text)[at[start] : at[end - 1] + 1], document)
            return None if n_kept is None else max(0, at[_end_of_copies(flat, start, period, n_kept)] - len(head))
    return None


def _flattened(text: str) -> tuple[str, list[int]]:
    """The text with each number as 0 and each run of blanks as one blank, and where each character comes from."""
    pieces: list[str] = []
    at: list[int] = []
    done = 0
    for found in _FLATTENED.finditer(text):
        pieces += (text[done : found.start()], "0" if found.group()[0].isdigit() else " ")
        at += range(done, found.start() + 1)
        done = found.end()
    at += range(done, len(text))
    return "".join((*pieces, text[done:])), at


def _period(flat: str, end: int) -> int | None:
    """The least length of a unit that the text up to `end` repeats often enough."""
    for period in range(1, end // _COPIES_OF_LONG + 1):
        n_further = (_COPIES if period < _LONG_CHARS else _COPIES_OF_LONG) - 1
        start = end - n_further * period
        if (
            start >= period
            and flat[end - 1] == flat[end - 1 - period]
            and flat[start:end] == flat[start - period : end - period]
        ):
            return period
    return None


def _run_start(flat: str, end: int, period: int) -> int:
    start = end - period
    while start > 0 and flat[start - 1] == flat[start - 1 + period]:
        start -= 1
    return start


def _end_of_copies(flat: str, start: int, period: int, n_kept: int) -> int:
    """Where the last copy ends that is kept: between words, if the run has such a place."""
    while n_kept and joins(flat[:start], flat[start:]) and start + n_kept * period < len(flat) - 1:
        start += 1  # a run may begin inside a word, as two words may end alike
    end = start + n_kept * period
    while joins(flat[:end], flat[end:]):
        end -= 1  # it repeats a part of a word
    return end


def _kept_copies(run: str, period: int, raw: str, document: str) -> int | None:
    """How many copies of a run's unit are kept; None where the run may go on."""
    unit = run[:period]
    is_dense = unit.isalnum() or (period == 1 and unit in _CLOSED)
    if is_dense and len(run) < _DENSE_CHARS:
        return None
    numbers, n_a_unit = _NUMBER.findall(raw), unit.count("0")
    counts = n_a_unit > 0 and numbers[:-n_a_unit] != numbers[n_a_unit:]
    if counts and len(run) < _COPIES * period:
        return None
    before, _ = _flattened(document[-_DOCUMENT_CHARS:])
    half = len(run) // period // _MOST_TIMES_MORE
    if _stands_in(before, unit, copies=1 if counts and period >= _COPIES else max(_MEANT_COPIES, half)):
        return None
    if counts or not any(char.isalpha() for char in unit):
        return _MEANT_COPIES if n_a_unit else 0
    return 1


def _stands_in(flat: str, unit: str, *, copies: int) -> bool:
    """Whether so many copies of the unit stand in a text, wherever the unit is thought to begin."""
    endless = unit * (copies + 1)
    return any(endless[first : first + copies * len(unit)].strip() in flat for first in range(len(unit)))
