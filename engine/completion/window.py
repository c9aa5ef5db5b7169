"""The window: the part of a document that a model reads, from some line's beginning to the cursor.

Its beginning should stay put: all behind it is in the KV cache, and where it moves all is read again. So it moves in
coarse steps of whole lines, and a window that was read once is kept open while a person types on. Strings only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.types import PromptOptions

STEP_LINES = 16  # the window's beginning is a multiple of this many lines
_STEP_LINES_OF_A_PART = 4  # where less than a whole window is read: a step costs less, and is a larger part of it

MOST_GROWTH = 2
"""How far a window grows while it is open, in windows: two take 20 MB of KV cache in the default model."""

_HEAD_CHARS = 128  # of a window's beginning: what it is known by
_MOST_OPEN = 32


def window_start(prefix: str, options: PromptOptions, share: float = 1.0) -> int:
    """Where the part of a document begins that is read before a cursor at its end.

    Args:
        prefix: The document up to there.
        options: How long a whole window is.
        share: How much of that is read.
    """
    n_chars = round(share * options.window_chars)
    if len(prefix) <= n_chars:
        return 0
    step_lines = STEP_LINES if share == 1.0 else _STEP_LINES_OF_A_PART
    lines = prefix.splitlines(keepends=True)
    length, start = len(prefix), 0
    while length > n_chars and start + step_lines < len(lines):
        length -= sum(map(len, lines[start : start + step_lines]))
        start += step_lines
    # One enormous line, as in minified code: no line border helps, so cut inside it, again in coarse steps.
    excess = max(0, length - n_chars)
    step = max(1, n_chars // 4)
    return len(prefix) - length + min(length, -(-excess // step) * step)


class OpenWindows:
    """Where the windows begin that were read last, known by what stands there, whatever document it is in.

    Where a person types on, the model reads on: once more from a later beginning would cost as much as the whole
    window, every 16 lines. Which of them are still in a KV cache is not asked.
    """

    def __init__(self) -> None:
        self._heads: dict[str, None] = {}  # the newest last

    def start(self, prefix: str, options: PromptOptions, share: float = 1.0) -> int:
        """Where an open window begins that reaches a cursor at the end of `prefix`, else where a new one would."""
        start = window_start(prefix, options, share)
        earliest = max(0, len(prefix) - MOST_GROWTH * options.window_chars)
        for head in reversed(tuple(self._heads)):
            if (found := prefix.find(head, earliest, start + len(head))) >= 0:
                return found
        return start

    def note(self, prefix: str, start: int) -> None:
        """Keeps a window open that has been read."""
        head = prefix[start : start + _HEAD_CHARS]
        if len(head) == _HEAD_CHARS:  # a shorter one is found in too many places, and cheap to read
            self._heads.pop(head, None)
            self._heads[head] = None
            while len(self._heads) > _MOST_OPEN:
                del self._heads[next(iter(self._heads))]
