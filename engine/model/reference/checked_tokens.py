"""What the reference makes of some tokens, layer by layer as weights come by: what is prepared is compared with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from engine.model.layer_runner import Array, LayerRunner, MappedRunner
    from engine.model.reference.eager import TorchRunner

_TOKENS = 48


class CheckedTokens:
    """Random tokens on their way through a model, in two pieces so that the cache is read as well."""

    def __init__(self, runner: TorchRunner) -> None:
        self._runner = runner
        self._ids = torch.randint(
            runner.backbone.config.vocab_size, (_TOKENS,), generator=torch.Generator().manual_seed(0)
        ).tolist()
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

    def _embedded(self, runner: LayerRunner) -> list[Array]:
        half = _TOKENS // 2
        return [runner.embed(self._ids[:half], 0), runner.embed(self._ids[half:], half)]

    @staticmethod
    def _logits(runner: LayerRunner, pieces: Sequence[Array]) -> NDArray[np.float32]:
        return np.concatenate([runner.to_numpy(runner.head(runner.final_norm(piece))) for piece in pieces], axis=1)
