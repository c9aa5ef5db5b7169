"""Token texts by what stands before each place: where did the last tokens of a text occur, and what followed?

`SortedContexts` holds a large text that seldom changes; it is sorted once, and a question costs a binary search.
`LinearContexts` holds a small one that changes often; a question reads all of it. Both give `Occurrences`. They know no
files and no model.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LONGEST = 16
"""Most agreeing tokens that are told apart."""

_NEARBY = 64  # places on either side of where a text would stand in the order that are looked at
_NEARBY_ALLOWED = 512  # where only some may follow, most of the nearest places do not help
_KEY_BITS = 64
_MOST = 256  # occurrences that are handed on, the latest; more tell little more of what follows


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Places of a text at which its last tokens are those that were asked for.

    Attributes:
        places: Where the agreeing tokens end, [N].
        lengths: How many agree there, 1 to `LONGEST`, [N].
    """

    places: NDArray[np.int64]
    lengths: NDArray[np.int64]


class Contexts(Protocol):
    """A text of tokens that can be asked."""

    @property
    def ids(self) -> NDArray[np.integer]:
        """The text, [T]."""
        ...

    def find(self, last: Sequence[int], allowed: NDArray[np.bool_] | None = None) -> Occurrences:
        """Where the text says what `last` ends with: the longest agreements, and some shorter ones.

        Args:
            last: The end of some other text, or of this one.
            allowed: By token id, whether it may follow; None where all may.
        """
        ...


class SortedContexts:
    """A text whose places are sorted by the tokens before them, the nearest first.

    Takes 6 bytes a token for vocabularies of up to 65,535, else 8, and a few times as much while it is built: a
    tenth of a second for a million tokens.
    """

    def __init__(self, ids: NDArray[np.integer]) -> None:
        self.ids = ids
        self._order = _sorted_places(ids)
        self._ids_view, self._order_view = ids.data, self._order.data  # twice as fast, item by item

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        return int(self.ids.nbytes + self._order.nbytes)

    def find(self, last: Sequence[int], allowed: NDArray[np.bool_] | None = None) -> Occurrences:
        """See `Contexts.find`; looks at the nearest places in the order, so of many some are left out."""
        wanted = list(reversed(last[-LONGEST:]))
        at = bisect_left(self._order_view, wanted, key=self._before)
        n_nearby = _NEARBY if allowed is None else _NEARBY_ALLOWED
        places = self._order[max(0, at - n_nearby) : at + n_nearby].astype(np.int64)
        if allowed is not None:
            places = places[allowed[self._following(places)]]
        lengths = _agreements(self.ids, places, wanted)
        found = lengths > 0
        return Occurrences(places[found], lengths[found])

    def _following(self, places: NDArray[np.int64]) -> NDArray[np.integer]:
        return self.ids.take(places + 1, mode="clip")

    def _before(self, place: int) -> list[int]:
        return self._ids_view[max(0, place + 1 - LONGEST) : place + 1].tolist()[::-1]


class LinearContexts:
    """A text that is read from one end to the other."""

    def __init__(self, ids: NDArray[np.integer]) -> None:
        self.ids = ids

    def find(self, last: Sequence[int], allowed: NDArray[np.bool_] | None = None) -> Occurrences:
        """See `Contexts.find`; only the longest agreements. The very end of the text is no place: nothing follows."""
        wanted = last[-LONGEST:]
        places = np.flatnonzero(self.ids[:-1] == wanted[-1]) if len(wanted) else np.empty(0, np.int64)
        if allowed is not None:
            places = places[allowed[self.ids[places + 1]]]
        length = 1
        while length < len(wanted) and len(places):
            earlier = places[places >= length]
            longer = earlier[self.ids[earlier - length] == wanted[-1 - length]]
            if not len(longer):
                break
            places, length = longer, length + 1
        places = places[-_MOST:]
        return Occurrences(places, np.full(len(places), length, np.int64))


def _agreements(ids: NDArray[np.integer], places: NDArray[np.int64], wanted: Sequence[int]) -> NDArray[np.int64]:
    """How many tokens up to each place are those that are wanted, the last of which stands first."""
    back = places[:, None] - np.arange(len(wanted))
    agree = (ids[np.maximum(back, 0)] == np.array(wanted)) & (back >= 0)
    lengths: NDArray[np.int64] = np.logical_and.accumulate(agree, axis=1).sum(axis=1)
    return lengths


def _sorted_places(ids: NDArray[np.integer]) -> NDArray[np.uint32]:
    """All places, by the last `LONGEST` tokens up to them, the nearest first; by doubling (Manber and Myers, 1993)."""
    rank = ids.astype(np.uint64) + 1
    n_sorted = 1
    while True:
        before = np.zeros_like(rank)  # 0 where the text has not begun
        before[n_sorted:] = rank[:-n_sorted] if n_sorted < len(rank) else rank[:0]
        bits = int(rank.max(initial=0)).bit_length()
        key, order = _in_order(rank << np.uint64(bits) | before, 2 * bits)
        n_sorted *= 2
        if n_sorted >= LONGEST:
            return order.astype(np.uint32)
        rank[order] = np.cumsum(np.diff(key, prepend=key[:1]) != 0) + 1


def _in_order(key: NDArray[np.uint64], bits: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The keys, of so many bits, in their order, and where each was; equal ones as they stood.

    A key that carries its place is sorted five times as fast as places are by their keys; three times 21 bits are
    enough for two million tokens.
    """
    place_bits = len(key).bit_length()
    if bits + place_bits > _KEY_BITS:
        order = np.argsort(key, kind="stable")
        return key[order], order
    shift = np.uint64(place_bits)
    placed = key << shift | np.arange(len(key), dtype=np.uint64)
    placed.sort()
    return placed >> shift, (placed & np.uint64((1 << place_bits) - 1)).astype(np.int64)
