"""`PieceIds`: token ids of code by the pieces that a tokenizer cuts a text into first; most of code was seen before.

No token reaches over the border of a piece, such as a word with the blank before it, so each piece is tokenized once
and looked up from then on: the same ids, for a third of the time. Only where the cutting is known, and for ASCII; the
lines that hold anything else are the tokenizer's.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_MOST_PIECES = 30_000  # that are known at once: 4 MB
_LONGEST_PIECE = 32  # characters; longer ones hardly come twice

# As StarCoder's makers cut, and many after them: each digit by itself, and what lies between two as GPT-2 does.
_DIGITS_APART = [
    {"type": "Digits", "individual_digits": True},
    {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
]
_PIECE = re.compile(
    r"'(?:[sdmt]|ll|ve|re)| ?[A-Za-z]+|[0-9]| ?[^\sA-Za-z0-9]+|\s+(?![^\s0-9])|\s+",  # a digit is an end, as the text's
    re.ASCII,
)
_LINE = re.compile(r"(?<=[!-~])(?=\n)")  # no piece reaches from a printed sign over the end of its line


class PieceIds(dict[str, bytes]):
    """The ids of pieces, four bytes each. From any thread.

    Args:
        tokenizer: One that `is_known_to_cut` holds for.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self._tokenizer = tokenizer

    def __missing__(self, piece: str) -> bytes:
        """The ids of a piece that is not known yet."""
        ids = self._tokenized(piece)
        if len(piece) <= _LONGEST_PIECE:
            if len(self) >= _MOST_PIECES:
                self.clear()
            self[piece] = ids
        return ids

    def of(self, text: str) -> list[int]:
        """The ids of a text, without those of a beginning."""
        parts = [text] if text.isascii() else _LINE.split(text)
        found = b"".join(self._of_ascii(part) if part.isascii() else self._tokenized(part) for part in parts)
        ids: list[int] = np.frombuffer(found, np.uint32).tolist()
        return ids

    def _of_ascii(self, text: str) -> bytes:
        return b"".join(map(self.__getitem__, _PIECE.findall(text)))

    def _tokenized(self, text: str) -> bytes:
        ids = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids
        return np.array(ids, np.uint32).tobytes()


def is_known_to_cut(tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer cuts a text as is known here, and puts nothing into it or around it."""
    state = b"{}" if tokenizer.pre_tokenizer is None else tokenizer.pre_tokenizer.__getstate__()
    cuts = json.loads(state).get("pretokenizers", [])
    return (
        [{key: one[key] for key in one if key != "trim_offsets"} for one in cuts] == _DIGITS_APART
        and tokenizer.normalizer is None
        and tokenizer.num_special_tokens_to_add(is_pair=False) == 0
        and all(token.special for token in tokenizer.get_added_tokens_decoder().values())  # others are in any text
    )
