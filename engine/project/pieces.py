"""`Pieces`: a text as words, signs and line starts, where no model's tokens are to be had.

Numbers stand for them in the order that they come; each can be spelled again. From any thread.
"""

from __future__ import annotations

import re
import threading

import numpy as np
from numpy.typing import NDArray  # noqa: TC002 - in an annotation of a method

# A word with the blank before it, a line end with the indentation behind it, a sign; every character is in one of them.
_PIECE = re.compile(r" ?\w+|\r?\n[ \t]*|[ \t]+|[^\w\s]|\s")

N_PIECES = 1 << 18
"""Different pieces that are told apart; what comes later is all one, and never said."""


class Pieces:
    """All pieces of the texts that were read."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._texts: list[str] = [""]  # 0 is what came too late
        self._lock = threading.Lock()

    def encode(self, text: str) -> list[int]:
        """The numbers of a text's pieces."""
        found = _PIECE.findall(text)
        with self._lock:
            for piece in found:
                if piece not in self._ids and len(self._texts) < N_PIECES:
                    self._ids[piece] = len(self._texts)
                    self._texts.append(piece)
            return [self._ids.get(piece, 0) for piece in found]

    def text_of(self, piece_id: int) -> str:
        """A piece by its number; "" for one that came too late."""
        return self._texts[piece_id]

    def beginning_with(self, text: str) -> NDArray[np.int64]:
        """The numbers of all pieces that begin so, and go on."""
        with self._lock:
            ids = [i for i, piece in enumerate(self._texts) if len(piece) > len(text) and piece.startswith(text)]
        return np.array(ids, np.int64)
