"""How far two sequences agree: cached and new prompts, drafts and tokens, suggestions and what is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def common_prefix(first: Sequence[object], second: Sequence[object]) -> int:
    """The length of the longest common prefix of two texts, or of two lists of tokens."""
    if isinstance(first, str) and isinstance(second, str):
        return _common_text(first, second)
    length = 0
    for a, b in zip(first, second, strict=False):
        if a != b:
            break
        length += 1
    return length


def _common_text(one: str, other: str) -> int:
    """The same by halves: documents are long, and before and after a key mostly the same."""
    if other.startswith(one):
        return len(one)
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
