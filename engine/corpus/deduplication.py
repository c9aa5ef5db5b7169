"""Text that stands twice: in two packages, in two splits, or in a benchmark.

A text is the set of its shingles: hashes of runs of seven tokens (Broder, "On the resemblance and containment of
documents", 1997). Comments of other lengths and another layout change few of them. Knows nothing of packages.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Set

_SHINGLE = 7  # tokens
_SKETCH_ONE_IN = 16  # of the shingles, the same ones in every text
_SAME = 0.6  # of the smaller text's shingles make two texts the same
_CONTAINED = 0.5  # of a problem's shingles make it known
_TOKEN = re.compile(r"\w+|[^\w\s]")


def first_occurrences(texts: Iterable[str]) -> Iterator[bool]:
    """Tells for each text, in the order of precedence, whether it is new: no text kept before it is much the same."""
    holders: defaultdict[int, list[int]] = defaultdict(list)  # shingle -> numbers of the kept texts that have it
    sizes: list[int] = []
    exact: set[tuple[str, ...]] = set()
    for text in texts:
        normalised = tuple(_TOKEN.findall(text))
        sketch = {shingle for shingle in shingles(text) if shingle % _SKETCH_ONE_IN == 0}
        shared = Counter(number for shingle in sketch for number in holders[shingle])
        is_new = normalised not in exact and not any(
            count >= _SAME * min(sizes[number], len(sketch)) for number, count in shared.items()
        )
        if is_new:
            exact.add(normalised)
            for shingle in sketch:
                holders[shingle].append(len(sizes))
            sizes.append(len(sketch))
        yield is_new


def contains_any(text: str, needles: Iterable[Set[int]]) -> bool:
    """Whether a text contains half the shingles of one of `needles`, each a benchmark's problem."""
    present = shingles(text)
    return any(needle and len(needle & present) >= _CONTAINED * len(needle) for needle in needles)


def shingles(text: str) -> Set[int]:
    """The hashes of every run of seven tokens; white space does not count."""
    tokens = _TOKEN.findall(text)
    return {zlib.crc32("\0".join(tokens[at : at + _SHINGLE]).encode()) for at in range(len(tokens) - _SHINGLE + 1)}
