"""How well each exit decodes, teacher-forced on held-out text, with 95 % intervals over files.

*Agreement* is the share of tokens on which an exit chooses as the last layer does, *accuracy* the share on which
it chooses what stands in the text. Both flatter: in free running errors compound. Knows nothing of training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from engine.intervals import Estimate, draws, estimate
from engine.training.states import Block, block_states
from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.early_exit import EarlyExitModel
    from engine.model.layer_runner import Array
    from engine.model.reference.trained_exits import TrainedExits


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitQuality:
    """One exit, or the last layer, read in one way: shares of tokens."""

    exit_layer: int
    agreement: Estimate
    accuracy: Estimate


@torch.inference_mode()
def judge(
    model: EarlyExitModel,
    blocks: Sequence[Block],
    readings: Sequence[TrainedExits | None],
    *,
    progress: ProgressSink = no_progress,
) -> list[list[ExitQuality]]:
    """Judges every exit, and the last layer, under each reading.

    Args:
        model: Its own trained exits are not used.
        blocks: Held-out text, one block a file.
        readings: Trained exits to read the exits through; None reads them as they are.
        progress: Is called for each block.

    Returns:
        For each reading the qualities in ascending order of depth, the last layer's at the end.
    """
    n_layers = model.n_layers
    layers = (*model.exit_layers, n_layers)
    hits = torch.zeros(len(readings), len(layers), 2, len(blocks), dtype=torch.float64)
    counts = torch.zeros(len(blocks), dtype=torch.float64)
    for at, block in enumerate(blocks):
        progress("Judging the exits", at, len(blocks))
        states = block_states(model, block.token_ids)
        next_ids = torch.tensor(states.next_ids)
        last_choice = _choices(model, states.last)
        counts[at] = len(last_choice)
        for reading, trained_exits in enumerate(readings):
            for idx, (layer, state) in enumerate(zip(layers, (*states.exits, states.last), strict=True)):
                mapped = trained_exits.apply(state, layer) if trained_exits is not None else state
                choice = last_choice if layer == n_layers else _choices(model, mapped)
                hits[reading, idx, 0, at] = (choice == last_choice).sum()
                hits[reading, idx, 1, at] = (choice == next_ids).sum()
    return [
        [
            ExitQuality(exit_layer=layer, agreement=_share(of[0], counts), accuracy=_share(of[1], counts))
            for layer, of in zip(layers, by_layer, strict=True)
        ]
        for by_layer in hits
    ]


def quality_table(before: Sequence[ExitQuality], after: Sequence[ExitQuality]) -> str:
    """A Markdown table of every exit before and after."""
    rows = [
        "| layer | agreement before | agreement after | accuracy before | accuracy after |",
        "|---|---|---|---|---|",
    ]
    for was, now in zip(before, after, strict=True):
        shares = (was.agreement, now.agreement, was.accuracy, now.accuracy)
        rows.append(f"| {was.exit_layer} | " + " | ".join(map(_shown, shares)) + " |")
    return "\n".join(rows)


def _choices(model: EarlyExitModel, states: Array) -> torch.Tensor:
    # As the last layer's states: the head alone, without the model's own trained exits.
    return torch.tensor(model.choices(model.logits(states[None], model.n_layers)))


def _share(hits: torch.Tensor, counts: torch.Tensor) -> Estimate:
    """The share over all tokens; the interval by drawing files."""
    of_files = draws(len(counts))
    return estimate((of_files @ hits.numpy()) / (of_files @ counts.numpy()))


def _shown(share: Estimate) -> str:
    return f"{share.value:.3f} [{share.low:.3f}, {share.high:.3f}]"
