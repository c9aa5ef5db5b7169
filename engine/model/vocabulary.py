"""The tokens of a vocabulary by their bytes: which of them begin with given ones.

Bytes, not characters, since a token may be half of one. Knows no tokenizer's file format beyond what its decoder says
of the spelling of its tokens, and no text.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")  # of vocabularies that spell rare characters by bytes
_BLANK = "\u2581"  # what SentencePiece writes for a blank


class Vocabulary:
    """Tokens by their bytes."""

    def __init__(self, spelled: Mapping[int, bytes]) -> None:
        """Sorts the tokens; takes a tenth of a second for 49,152 of them.

        Args:
            spelled: The bytes of each token that is text, by its id.
        """
        ordered = sorted((spelling, token_id) for token_id, spelling in spelled.items() if spelling)
        self._spellings = _Spellings([spelling for spelling, _ in ordered])
        self._ids: NDArray[np.int64] = np.array([token_id for _, token_id in ordered], np.int64)
        self._places = np.full(max(spelled, default=0) + 1, -1, np.int32)  # by id; a tenth of the memory of a dict
        self._places[self._ids] = np.arange(len(ordered))

    def __getitem__(self, token_id: int) -> bytes:
        """The bytes of a token; none of one that is no text."""
        place = self._places[token_id] if 0 <= token_id < len(self._places) else -1
        return self._spellings[place] if place >= 0 else b""

    def beginning_with(self, text: bytes) -> NDArray[np.int64]:
        """Ids of the tokens that are `text` or go on behind it."""
        return self._ids[bisect_left(self._spellings, text) : self._end(text)]

    def _end(self, text: bytes) -> int:
        """Where the tokens that begin with `text` end in the order of all."""
        stem = text.rstrip(b"\xff")
        return bisect_left(self._spellings, stem[:-1] + bytes([stem[-1] + 1])) if stem else len(self._spellings)


class _Spellings:
    """Bytes in their order, one behind the other: as objects they take ten times as much memory as they hold."""

    def __init__(self, spellings: Sequence[bytes]) -> None:
        self._all = b"".join(spellings)
        self._borders = array("I", accumulate(map(len, spellings), initial=0))

    def __len__(self) -> int:
        return len(self._borders) - 1

    def __getitem__(self, place: int) -> bytes:
        return self._all[self._borders[place] : self._borders[place + 1]]


def vocabulary_of(tokenizer: Tokenizer, *, without: frozenset[int] = frozenset()) -> Vocabulary:
    """The vocabulary of a tokenizer.

    Args:
        tokenizer: The tokenizer of any family.
        without: Ids of tokens that are no text, such as those that end one.
    """
    spell = _speller(tokenizer)
    return Vocabulary({idx: spell(token) for token, idx in tokenizer.get_vocab().items() if idx not in without})


def _speller(tokenizer: Tokenizer) -> Callable[[str], bytes]:
    """How the tokenizer spells bytes in its tokens, which its decoder tells."""
    kinds = set(_kinds(json.loads(tokenizer.decoder.__getstate__()))) if tokenizer.decoder is not None else set()
    if "ByteLevel" in kinds:
        table = _byte_level()
        known = table.keys()
        return lambda token: bytes(map(table.__getitem__, token)) if known >= set(token) else b""
    has_blanks = bool(kinds & {"Metaspace", "Replace"})
    has_bytes = "ByteFallback" in kinds

    def spell(token: str) -> bytes:
        if has_bytes and (found := _BYTE_TOKEN.fullmatch(token)):
            return bytes([int(found.group(1), 16)])
        return (token.replace(_BLANK, " ") if has_blanks else token).encode()

    return spell


def _kinds(decoder: Mapping[str, Any]) -> Iterator[str]:
    yield decoder["type"]
    for part in decoder.get("decoders", ()):
        yield from _kinds(part)


def _byte_level() -> dict[str, int]:
    """The characters that stand for bytes in GPT-2's vocabulary and its many heirs."""
    shown = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + place): byte for place, byte in enumerate(hidden)}
