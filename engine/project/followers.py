"""`Followers`: what followed the longest agreement in one text. Knows no trust and no decoder."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from engine.project.contexts import Contexts

_MOST = 8  # different tokens that are told of


@dataclass(frozen=True, slots=True)
class Followers:
    """What followed where a text said the same.

    Attributes:
        length: How many tokens agree.
        count: How often they stood there.
        ids: The tokens behind them, the most frequent first.
        shares: How often each was it, of all.
    """

    length: int
    count: int
    ids: tuple[int, ...]
    shares: tuple[float, ...]

    def share_of(self, token_id: int) -> float:
        """How often a token was it, of all; 0 for one that never was."""
        return self.shares[self.ids.index(token_id)] if token_id in self.ids else 0.0


def followers(
    contexts: Contexts,
    last: Sequence[int],
    *,
    n_vocabulary: int,
    allowed: NDArray[np.bool_] | None = None,
    hidden: Sequence[tuple[int, int]] = (),
) -> Followers | None:
    """What followed the longest agreement with `last`; None where there is none.

    Args:
        contexts: The text to look in.
        last: The tokens before the place that is asked about.
        n_vocabulary: Ids from here on are borders between files, which follow nothing.
        allowed: By token id, whether it may follow; None where all may.
        hidden: Parts of the text that do not count.
    """
    found = contexts.find(last, allowed)
    places, lengths = found.places, found.lengths
    if not len(places):  # as most often in what is open beside it
        return None
    for start, end in hidden:
        outside = (places < start) | (places >= end)
        places, lengths = places[outside], lengths[outside]
    inside = places + 1 < len(contexts.ids)
    places, lengths = places[inside], lengths[inside]
    following = contexts.ids[places + 1]
    is_text = following < n_vocabulary
    following, lengths = following[is_text], lengths[is_text]
    if not len(following):
        return None
    length = int(lengths.max())
    each = Counter(following[lengths == length].tolist())  # np.unique loads numpy's masked arrays: 1.5 MB and 20 ms
    most = sorted(each.items(), key=lambda one: (-one[1], one[0]))[:_MOST]
    count = each.total()
    return Followers(length, count, tuple(id_ for id_, _ in most), tuple(n / count for _, n in most))


def longest(found: Iterable[Followers | None]) -> Followers | None:
    """Of several texts what followed the longest agreement; of two as long, the more frequent one."""
    return max((one for one in found if one is not None), key=lambda one: (one.length, one.count), default=None)
