"""Text to blocks of tokens, and blocks to the states that a model's exits see in them.

Runs the decoder's own segments, so training sees exactly what decoding sees. Knows nothing of what is learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.corpus.source_text import SourceFile
    from engine.model.early_exit import EarlyExitModel
    from engine.model.layer_runner import Array
    from engine.model.tokenization import Tokenization

BLOCK_TOKENS = 512
_MIN_BLOCK_TOKENS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A stretch of one file, in tokens."""

    package: str
    token_ids: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockStates:
    """What the exits of a model see in one block, each state normed as for the LM head.

    The first token is left out: its state is that of an attention sink, far from all others. Arrays of the runner's
    own kind: torch's where exits are trained, which is on the reference runner.

    Attributes:
        exits: At each exit, ascending, [T, D].
        last: At full depth, [T, D].
        next_ids: The token that follows in the text, T of them.
    """

    exits: list[Array]
    last: Array
    next_ids: list[int]


def blocks(
    files: Sequence[SourceFile], tokenization: Tokenization, *, max_tokens: int, skip: int = 0
) -> Iterator[Block]:
    """One block of each file in turn, then a second one of each, until `max_tokens` are reached.

    Args:
        files: The text.
        tokenization: Makes tokens of it.
        max_tokens: How many are wanted.
        skip: How many are passed over first.
    """
    n_tokens, turn = 0, 0
    encoded: dict[int, list[int]] = {}
    left = list(range(len(files)))
    while left:
        start, still = turn * BLOCK_TOKENS, []
        for idx in left:
            if n_tokens >= skip + max_tokens:
                return
            ids = encoded.get(idx) or encoded.setdefault(idx, tokenization.encode(files[idx].text))
            block = ids[start : start + BLOCK_TOKENS]
            if len(block) < _MIN_BLOCK_TOKENS:
                encoded[idx] = []
                continue
            if n_tokens >= skip:
                yield Block(package=files[idx].package, token_ids=block)
            n_tokens += len(block)
            still.append(idx)
        left, turn = still, turn + 1


def block_states(model: EarlyExitModel, token_ids: Sequence[int]) -> BlockStates:
    """Runs a block at full depth and keeps the state at every exit."""
    cache = model.new_cache()
    hidden = model.embed(token_ids, 0)
    states = []
    for start, stop in model.segments:
        hidden = model.run_layers(hidden, start, stop, cache)
        states.append(model.exit_state(hidden, stop)[0, 1:-1])
    return BlockStates(exits=states[:-1], last=states[-1], next_ids=list(token_ids[2:]))
