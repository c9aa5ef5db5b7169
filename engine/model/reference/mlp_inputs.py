"""What a model's MLPs read in real code: the statistics by which their weights are rounded to 4 bits.

The code is that of Python's own standard library, which is on every machine that runs this. Knows no rounding.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from engine.errors import UnsupportedModelError
from engine.model.prepared.quantization import InputStatistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer

    from engine.types import ProgressSink

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


@torch.inference_mode()
def mlp_inputs(
    backbone: Any, mlps: Sequence[Any], blocks: Sequence[list[int]], progress: ProgressSink
) -> list[InputStatistics]:
    """Statistics over all tokens of what each of `mlps` reads, at full precision.

    Args:
        backbone: The transformers model that they belong to.
        mlps: The MLP of each layer.
        blocks: The token ids of each text.
        progress: Is called for each text.
    """
    sums = [_Sums(backbone.config.hidden_size) for _ in mlps]
    hooks = [mlp.register_forward_pre_hook(total.add) for mlp, total in zip(mlps, sums, strict=True)]
    try:
        for done, ids in enumerate(blocks):
            progress("Reading code to round the model by", done, len(blocks))
            backbone.model(torch.tensor([ids]), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return [total.statistics() for total in sums]


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
