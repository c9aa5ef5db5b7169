"""Where the cursor of a developer stands who wants a suggestion: one rule for training and evaluation. Strings only.

Half of the cursors stand at a line's start, behind its indentation, half inside a line, between two of its words or
signs. (Inside a word a model stumbles over its own tokens; what it says there is as poor at full depth.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.completion.words import inside_word

if TYPE_CHECKING:
    import random

MIN_PREFIX_CHARS = 300
"""A file's first lines are imports: nobody could know what follows."""

_MIN_TRUTH_CHARS = 3


def draw_cursor(text: str, at: int, rng: random.Random) -> int | None:
    """A cursor on the line of the character `at`; None where nothing worth completing stands, or too little before."""
    start = text.rfind("\n", 0, at) + 1
    line = text[start:].partition("\n")[0]
    indent = len(line) - len(line.lstrip())
    behind = range(indent + 1, len(line.rstrip()) - _MIN_TRUTH_CHARS)
    columns = [column for column in behind if not inside_word(line, column)]
    inside = rng.random() < 0.5 and bool(columns)  # noqa: PLR2004 - half of them
    cursor = start + (rng.choice(columns) if inside else indent)
    if cursor < MIN_PREFIX_CHARS or len(line.strip()) < _MIN_TRUTH_CHARS:
        return None
    return cursor
