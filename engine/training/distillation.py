"""Shortcuts by distillation: the choice of words, not the distance of states, is what an exit should get right.

Minimises KL(last layer ‖ exit) over the words that the last layer considers, from the ridge solution on. The backbone
and the LM head are frozen. This cures the overconfidence of the closed form, which confidence thresholds suffer from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.model.early_exit import EarlyExitModel
    from engine.training.states import BlockStates

    Affine = tuple[torch.Tensor, torch.Tensor]  # weight [D, D], bias [D]

_CONSIDERED = 8  # of each token's words by the last layer, those of the highest probability
_BATCH_TOKENS = 512
_LEARNING_RATE = 3e-4
_BETAS = (0.9, 0.98)
_SEED = 0


def distil(
    model: EarlyExitModel,
    states: Sequence[BlockStates],
    maps: Mapping[int, Affine],
    *,
    epochs: int,
    progress: ProgressSink = no_progress,
) -> dict[int, Affine]:
    """Trains every map from where it is; returns new ones.

    Args:
        model: Gives the LM head.
        states: Training text as the model sees it.
        maps: By exit layer, such as the ridge solution.
        epochs: Passes over `states`.
        progress: Told of the batches done.
    """
    exits = [torch.cat([block.exits[idx] for block in states]) for idx in range(len(model.exit_layers))]
    last = torch.cat([block.last for block in states])
    head, offset = _considered_head(model, last)
    trained = {exit_: [part.to(model.device).clone().requires_grad_() for part in maps[exit_]] for exit_ in maps}
    optimizer = torch.optim.Adam([part for pair in trained.values() for part in pair], lr=_LEARNING_RATE, betas=_BETAS)
    generator = torch.Generator().manual_seed(_SEED)
    n_batches = epochs * (len(last) // _BATCH_TOKENS)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, n_batches))
    done = 0
    for _ in range(epochs):
        order = torch.randperm(len(last), generator=generator).to(model.device)
        for start in range(0, len(last) - _BATCH_TOKENS + 1, _BATCH_TOKENS):
            batch = order[start : start + _BATCH_TOKENS]
            progress("Distilling the exits", done, n_batches)
            target = functional.log_softmax(last[batch].to(head.dtype) @ head + offset, dim=-1)
            optimizer.zero_grad()
            for exit_, state in zip(model.exit_layers, exits, strict=True):
                mapped = functional.linear(state[batch].to(head.dtype), *trained[exit_])
                choice = functional.log_softmax(mapped @ head + offset, dim=-1)
                # the maps share nothing: one backward pass each keeps the memory at one exit's
                loss = functional.kl_div(choice, target, log_target=True, reduction="batchmean")
                torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            done += 1
    return {exit_: (weight.detach(), bias.detach()) for exit_, (weight, bias) in trained.items()}


@torch.no_grad()
def _considered_head(model: EarlyExitModel, last: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The LM head for the words that the last layer considers anywhere, as a matrix [D, K] and an offset [K].

    Every family's head is affine, so its matrix is what it says of the unit vectors; a sixth of the vocabulary is
    enough, and training is that much faster.
    """
    considered: set[int] = set()
    for start in range(0, len(last), _BATCH_TOKENS):
        considered.update(
            _head(model, last[start : start + _BATCH_TOKENS]).topk(_CONSIDERED).indices.flatten().tolist()
        )
    words = torch.tensor(sorted(considered), device=model.device)
    unit = torch.eye(last.shape[1], dtype=last.dtype, device=model.device)
    offset = _head(model, torch.zeros_like(unit[:1]))[0, words].float()
    return _head(model, unit)[:, words].float() - offset, offset


def _head(model: EarlyExitModel, states: torch.Tensor) -> torch.Tensor:
    return model.logits(states.unsqueeze(0), model.n_layers)[0]
