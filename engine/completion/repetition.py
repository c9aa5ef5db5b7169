"""Lines that say again what the document says already: the next line, or the lines just above.

A small model that has run dry repeats itself. Strings only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LINES_ABOVE = 6  # that are compared with; twice the longest period would be enough
_ENDS = " \t;,."  # that do not make another line of it
_PERIODS = (1, 2, 3)  # lines that are repeated as one


def repeats_from(lines: Sequence[str], above: Sequence[str], next_line: str, *, is_first_new: bool) -> int | None:
    """The index of the first new line that repeats the document or the new lines before it; None where none does.

    Lines are compared with their indentation: a bracket that closes an inner block is no repetition of the outer one's.
    Lines without a letter, such as brackets, may follow each other. A line that lacks its last sign or ends in another
    says the same.

    Args:
        lines: The new lines; the first with what stands before the cursor.
        above: Lines of the document before them, without blank ones.
        next_line: The first line behind the cursor's that is not blank; "" without one.
        is_first_new: Whether anything in the first line is new.
    """
    told = [line.rstrip(_ENDS) for line in above]
    for index, line in enumerate(lines):
        text = line.rstrip()
        if not text:
            continue
        told.append(text.rstrip(_ENDS))
        if not index and not is_first_new:
            continue
        if text == next_line.rstrip():
            return index
        for period in _PERIODS:
            n_new = sum(1 for each in lines[: index + 1] if each.strip())
            if period <= n_new and _is_repeated(told, period):
                return _nth_last_filled(lines[: index + 1], period)
    return None


def _is_repeated(told: Sequence[str], period: int) -> bool:
    last, before = told[-period:], told[-2 * period : -period]
    return last == before and any(char.isalpha() for line in last for char in line)


def _nth_last_filled(lines: Sequence[str], n: int) -> int:
    return [index for index, line in enumerate(lines) if line.strip()][-n]
