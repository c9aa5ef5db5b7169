"""A language model cut into segments of layers between exits.

It runs what it is told to run: embed, a range of layers, the head at an exit, the propagation into skipped layers; a
`LayerRunner` computes it. It knows no policy, no sampling, no text.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from engine.model.layer_runner import Array, KVCache, LayerRunner

_EXIT_EVERY = 3  # default distance between exits: the policy decides often enough, and a check stays cheap


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The tokens that a head over a part of the vocabulary chooses from.

    Attributes:
        ids: The token ids, [S].
        rows: What `LayerRunner.head_rows` gave for those of them that are not on the shortlist.
    """

    ids: NDArray[np.int64]
    rows: Array


class EarlyExitModel:
    """The layers of a model with exits between them. Batch 1, one device, no gradients.

    Attributes:
        exit_layers: Layers after which a token may leave, ascending, without the last.
        n_layers: Full depth.
        n_vocabulary: Tokens that the head knows.
        runner: What computes the layers.
        fingerprint: Names the base weights; see `model_fingerprint`.
        exits_fingerprint: Names the trained exits, "untrained" where there are none.
    """

    def __init__(
        self,
        runner: LayerRunner,
        exit_layers: Sequence[int] | None = None,
        *,
        fingerprint: str,
        exits_fingerprint: str,
    ) -> None:
        """Cuts what `runner` computes at `exit_layers`; None for every third layer.

        Raises:
            ConfigError: If an exit lies outside the model.
        """
        self.runner = runner
        self.n_layers = runner.n_layers
        self.exit_layers = checked_exits(exit_layers, self.n_layers)
        bounds = (0, *self.exit_layers, self.n_layers)
        self.segments = tuple(itertools.pairwise(bounds))
        self.max_positions = runner.max_positions
        self.geometry, self.n_vocabulary = runner.geometry, runner.n_vocabulary
        self.fingerprint = fingerprint
        self.exits_fingerprint = exits_fingerprint

    @property
    def callers(self) -> int:
        """How many threads may run layers at once, each those of another segment."""
        return self.runner.callers

    def use_cores(self, *, all_cores: bool) -> None:
        """Chooses the threads: all cores (fastest) or one (least energy). Not to be called while the model runs."""
        self.runner.use_cores(all_cores=all_cores)

    def new_cache(self) -> KVCache:
        """An empty cache for this model."""
        return self.runner.new_cache()

    def embed(self, token_ids: Sequence[int], position: int) -> Array:
        """Token ids that stand from `position` on, to hidden states [1, T, D]."""
        return self.runner.embed(token_ids, position)

    def run_layers(self, hidden: Array, start: int, stop: int, cache: KVCache) -> Array:
        """See `LayerRunner.run_layers`."""
        return self.runner.run_layers(hidden, start, stop, cache)

    def propagate(self, hidden: Array, start: int, cache: KVCache) -> None:
        """Fills layers from `start` on with keys and values computed from an exit's hidden states [1, T, D].

        Approximate: the state that those layers would have seen is taken to be the exit's (CALM, arXiv 2207.07061).
        """
        self.runner.propagate(hidden, start, cache)

    def concatenate(self, before: Array, behind: Array) -> Array:
        """Hidden states [1, T, D] with more of them behind."""
        return self.runner.concatenate(before, behind)

    def exit_state(self, hidden: Array, exit_layer: int) -> Array:
        """Hidden states after `exit_layer` layers, normed as for the LM head: [1, T, D] to [1, T, D]."""
        return self.runner.final_norm(hidden)

    @property
    def shortlist_share(self) -> float:
        """What the head over the shortlist reads of the whole head; 1 without a shortlist."""
        shortlist = self.runner.shortlist
        return 1.0 if shortlist is None else len(shortlist) / self.n_vocabulary

    def listing(self, token_ids: Sequence[int]) -> Listing | None:
        """What may be chosen behind a text: the shortlist, and the tokens of the text; None without a shortlist.

        What a text says once it often says again: of the tokens that the default model chose in code and that are not
        on its shortlist, nine in ten stood in the prompt (engine/LOG.md, "One core for decoding,
        all for the prompt; shorter drafts; a head over few tokens").
        """
        shortlist = self.runner.shortlist
        if shortlist is None:
            return None
        said = np.array(sorted(set(token_ids)), np.int64)
        at = np.searchsorted(shortlist, said)  # it is sorted, and longer than most texts
        further = said[shortlist.take(at, mode="clip") != said]
        return Listing(ids=np.concatenate((shortlist, further)), rows=self.runner.head_rows(further.tolist()))

    def logits(self, state: Array, exit_layer: int, listing: Listing | None = None) -> Array:
        """The LM head at an exit, through its map: states of `exit_state` [1, T, D] to logits [1, T, V].

        With a listing the head is read for its tokens only: [1, T, S].
        """
        return self.head(self.mapped(state, exit_layer), listing)

    def mapped(self, state: Array, exit_layer: int) -> Array:
        """What the LM head reads at an exit in the place of states of `exit_state`, [1, T, D].

        Not done in `exit_state`, so that only those exits pay for it whose head is asked.
        """
        return self.runner.map_exit(state, exit_layer) if exit_layer < self.n_layers else state

    def head(self, mapped: Array, listing: Listing | None = None) -> Array:
        """The LM head: what `mapped` gives, of any exits, to logits [1, T, V], or of a listing's tokens [1, T, S]."""
        return self.runner.head(mapped) if listing is None else self.runner.shortlist_head(mapped, listing.rows)

    def choices(self, logits: Array, ids: NDArray[np.int64] | None = None) -> list[int]:
        """The most likely token of each row of `logits` [1, T, S], which are of `ids` [S] or the whole vocabulary."""
        best: list[int] = logits[0].argmax(-1).tolist()
        if ids is None:
            return best
        chosen: list[int] = ids[best].tolist()
        return chosen

    def probabilities(self, logits: Array) -> list[float]:
        """The probability of each of `choices`, among the tokens that `logits` knows."""
        scores = self.runner.to_numpy(logits[0])
        odds: list[float] = np.exp(scores - scores.max(-1, keepdims=True)).sum(-1).tolist()
        return [1.0 / against_best for against_best in odds]

    def to_numpy(self, array: Array) -> NDArray[np.float32]:
        """Any part of hidden states or logits, in fp32 in this machine's memory; waits for the device."""
        return self.runner.to_numpy(array)


def checked_exits(exit_layers: Sequence[int] | None, n_layers: int) -> tuple[int, ...]:
    """Where a model of so many layers is cut, ascending; None for every third layer.

    Raises:
        ConfigError: If an exit lies outside the model.
    """
    if exit_layers is None:
        return tuple(range(_EXIT_EVERY, n_layers, _EXIT_EVERY))
    exits = tuple(sorted(set(exit_layers)))
    if exits and (exits[0] < 1 or exits[-1] >= n_layers):
        raise ConfigError(f"Exit layers must lie between 1 and {n_layers - 1} for this model, not {list(exits)}.")
    return exits
