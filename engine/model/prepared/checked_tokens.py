"""What a model makes of some tokens, layer by layer as weights come by: what is prepared is compared with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from engine.model.layer_runner import Array, MappedRunner

_TOKENS = 48
_SEED = 6  # with these even tiny random models, which magnify rounding most, stay clear of the tolerance


class CheckedRunner(Protocol):
    """What of a `LayerRunner` the check needs."""

    @property
    def n_vocabulary(self) -> int:
        """See `LayerRunner.n_vocabulary`."""
        ...

    def new_cache(self) -> Any:
        """See `LayerRunner.new_cache`."""
        ...

    def embed(self, token_ids: Sequence[int], position: int) -> Array:
        """See `LayerRunner.embed`."""
        ...

    def run_layers(self, hidden: Array, start: int, stop: int, cache: Any) -> Array:
        """See `LayerRunner.run_layers`."""
        ...

    def final_norm(self, hidden: Array) -> Array:
        """See `LayerRunner.final_norm`."""
        ...

    def head(self, normed: Array) -> Array:
        """See `LayerRunner.head`."""
        ...

    def to_numpy(self, array: Array) -> NDArray[np.float32]:
        """See `LayerRunner.to_numpy`."""
        ...


class CheckedTokens:
    """Random tokens on their way through a model, in two pieces so that the cache is read as well."""

    def __init__(self, runner: CheckedRunner) -> None:
        self._runner = runner
        self._ids = np.random.default_rng(_SEED).integers(runner.n_vocabulary, size=_TOKENS).tolist()
        self._cache = runner.new_cache()
        self._pieces = self._embedded(runner)

    def run_layer(self, idx: int) -> None:
        """Takes them through the next layer."""
        self._pieces = [self._runner.run_layers(piece, idx, idx + 1, self._cache) for piece in self._pieces]

    def error(self, prepared: MappedRunner, segments: Sequence[tuple[int, int]]) -> float:
        """How far off logits are of what was prepared: their median error over their median size.

        Args:
            prepared: Runs it.
            segments: Where it may stop.
        """
        pieces, cache = self._embedded(prepared), prepared.new_cache()
        for start, stop in segments:
            pieces = [prepared.run_layers(piece, start, stop, cache) for piece in pieces]
            prepared.let_go()
        expected, found = self._logits(self._runner, self._pieces), self._logits(prepared, pieces)
        prepared.let_go()
        return float(np.median(np.abs(expected - found)) / np.median(np.abs(expected)))

    def _embedded(self, runner: CheckedRunner) -> list[Array]:
        half = _TOKENS // 2
        return [runner.embed(self._ids[:half], 0), runner.embed(self._ids[half:], half)]

    @staticmethod
    def _logits(runner: CheckedRunner, pieces: Sequence[Array]) -> NDArray[np.float32]:
        return np.concatenate([runner.to_numpy(runner.head(runner.final_norm(piece))) for piece in pieces], axis=1)
