"""`KnownRows`: what the last layer gave for the newest positions of a KV cache, so that no place is computed twice.

Keys and values let what follows a position be computed; its row of the last layer says what follows. Who types inside
a word asks with the same prompt at each letter, and often hears the same tokens until one disagrees with the letters:
as far as the text is the one before, its rows are looked up, and only the LM head runs. Knows no policy and no text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.layer_runner import Array

_MOST_ROWS = 64  # more than one suggestion has


class KnownRows:
    """The ids behind every filled position of one cache, and the rows of the newest of them.

    Args:
        keeps_rows: False where each request shall cost what it costs by itself.

    Attributes:
        ids: The ids behind the positions that are filled in every layer.
    """

    def __init__(self, *, keeps_rows: bool) -> None:
        self.ids: list[int] = []
        self._keeps_rows = keeps_rows
        self._rows: dict[int, Array] = {}  # by position [1, 1, D]

    def behind(self, n_prompt: int, said: Sequence[int]) -> Array | None:
        """The row that chooses the token behind a prompt and what was said since; None where it is not known.

        Args:
            n_prompt: Length of the prompt, which `ids` begin with.
            said: The tokens since.
        """
        end = n_prompt + len(said)
        return self._rows.get(end - 1) if self.ids[n_prompt:end] == list(said) else None

    def note(self, end: int, rows: Array) -> None:
        """Remembers rows [1, T, D] of the last layer, the last of which stands before position `end`."""
        if not self._keeps_rows:
            return
        n_rows = rows.shape[1]
        for row in range(n_rows):
            self._rows[end - n_rows + row] = rows[:, row : row + 1]
        for oldest in sorted(self._rows)[:-_MOST_ROWS]:
            del self._rows[oldest]

    def crop(self, length: int) -> None:
        """Forgets every position from `length` on."""
        del self.ids[length:]
        self._rows = {position: row for position, row in self._rows.items() if position < length}
