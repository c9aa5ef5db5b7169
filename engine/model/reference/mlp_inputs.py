"""What a model's MLPs read in real code: the statistics by which their weights are rounded to 4 bits.

The code is that of Python's own standard library, which is on every machine that runs this. Knows no rounding.
"""

from __future__ import annotations

import sysconfig
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from engine.errors import UnsupportedModelError
from engine.model.prepared.quantization import InputStatistics
from engine.model.reference.llama_adapters import adapter_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer

    from engine.model.reference.eager import TorchRunner

_BLOCKS, _BLOCK_TOKENS = 32, 512  # twice as many blocks are not measurably better, half as many are worse
_CHARACTERS = 8 * _BLOCK_TOKENS  # more than any block's text has


def standard_library_ids(tokenizer: Tokenizer) -> list[list[int]]:
    """Tokens from the middles of modules all over the standard library, each block as long as the others.

    Raises:
        UnsupportedModelError: If this Python came without the source of its standard library.
    """
    folder = Path(sysconfig.get_paths()["stdlib"])
    blocks = []
    for path in sorted(folder.glob("*.py")):
        text = path.read_text(encoding="utf-8", errors="ignore")
        middle = text[len(text) // 2 :][:_CHARACTERS]
        ids = tokenizer.encode(middle, add_special_tokens=False).ids[:_BLOCK_TOKENS]
        if len(ids) == _BLOCK_TOKENS:
            blocks.append(ids)
    if len(blocks) < _BLOCKS:
        raise UnsupportedModelError(
            "Weights are rounded to int4 by what the model reads in Python's standard library, whose source this "
            "Python came without; choose the precision 'int8'."
        )
    return blocks[:: len(blocks) // _BLOCKS][:_BLOCKS]


class MlpInputs:
    """What the MLPs of a model read, at full precision, layer by layer as weights come by."""

    def __init__(self, runner: TorchRunner, blocks: Sequence[list[int]]) -> None:
        """Begins to read.

        Args:
            runner: Runs a model that can be prepared.
            blocks: The token ids of each text.
        """
        self._runner = runner
        self._hidden = [runner.embed(ids, 0) for ids in blocks]

    def of_layer(self, idx: int) -> InputStatistics:
        """Statistics over all tokens of what the MLP of the next layer reads, as it will once it is prepared."""
        adapter = adapter_of(self._runner)
        sums = _Sums(self._hidden[0].shape[-1])
        hook = adapter.mlp(idx).register_forward_pre_hook(sums.add)
        try:
            for place, rows in enumerate(self._hidden):
                self._hidden[place] = self._runner.run_layers(rows, idx, idx + 1, self._runner.new_cache())
        finally:
            hook.remove()
        statistics, shift = sums.statistics(), adapter.mlp_shift(idx)
        return statistics if shift is None else replace(statistics, mean=statistics.mean - shift)


class _Sums:
    """The sums of x and of x.T @ x over rows x [T, D], which come in by and by."""

    def __init__(self, width: int) -> None:
        self._n_rows = 0
        self._first, self._second = torch.zeros(width), torch.zeros(width, width)

    def add(self, _module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        rows = inputs[0].flatten(0, 1)
        self._n_rows += len(rows)
        self._first += rows.sum(0)
        self._second.addmm_(rows.T, rows)

    def statistics(self) -> InputStatistics:
        mean = self._first / self._n_rows
        return InputStatistics(
            mean=mean.numpy(), covariance=(self._second / self._n_rows - torch.outer(mean, mean)).numpy()
        )
