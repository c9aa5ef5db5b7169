"""Training text as batches of one shape: token ids, padded at the end, and the labels that follow them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.training.states import Block

IGNORED = -100
"""The label of a place that has none."""

Batch = tuple[torch.Tensor, torch.Tensor]
"""Token ids and labels, [B, T] each."""


def groups(blocks: Sequence[Block], size: int) -> Iterator[Sequence[Block]]:
    """As many blocks as a step takes; too few at the end are left out."""
    for start in range(0, len(blocks) - size + 1, size):
        yield blocks[start : start + size]


def padded(group: Sequence[Block], length: int) -> Batch:
    """Some blocks, each padded to `length` tokens."""
    ids = torch.zeros(len(group), length, dtype=torch.long)
    labels = torch.full_like(ids, IGNORED)
    for row, block in enumerate(group):
        tokens = torch.tensor(block.token_ids)
        ids[row, : len(tokens)] = tokens
        labels[row, 1 : len(tokens) - 1] = tokens[2:]  # the first position is an attention sink
    return ids, labels


def frequent_words(blocks: Sequence[Block], size: int) -> torch.Tensor:
    """The `size` most frequent tokens of a text, or all that occur, in ascending order, [K]."""
    counts = torch.bincount(torch.tensor([token for block in blocks for token in block.token_ids]))
    return counts.topk(min(size, int((counts > 0).sum()))).indices.sort().values
