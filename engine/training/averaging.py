"""`averaged`: exits between those that a training began with and those that it ended with.

Their weights in between are often better than either (WiSE-FT, arXiv 2109.01903; model soups, arXiv 2203.05482): here
the last layer says more of the next tokens than at both ends, and the exits keep most of what they have learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from engine.model.reference.trained_exits import TrainedExits

if TYPE_CHECKING:
    from engine.model.reference.trained_exits import LowRank


def averaged(begun: TrainedExits, ended: TrainedExits, share: float) -> TrainedExits:
    """Exits with so much of the end in them.

    Args:
        begun: Those that the training began with.
        ended: Those that it ended with, of the same model, at the same exits; the result has their description.
        share: Of the end, from 0 to 1.
    """
    maps = {
        exit_: (torch.lerp(weight, ended.maps[exit_][0], share), torch.lerp(bias, ended.maps[exit_][1], share))
        for exit_, (weight, bias) in begun.maps.items()
    }
    updates = {name: _between(begun.updates[name], update, share) for name, update in ended.updates.items()}
    return TrainedExits(ended.info, maps, updates, ended.shortlist)


def _between(begun: LowRank, ended: LowRank, share: float) -> LowRank:
    """Two updates of one weight as one, [out, r] and [r, in]: the best one of the rank of `ended`."""
    up = torch.cat(((1 - share) * begun[0], share * ended[0]), dim=1).double()
    down = torch.cat((begun[1], ended[1])).double()
    # Of the product of two thin factors the singular values are those of a small matrix between orthonormal ones.
    up_basis, up_rest = torch.linalg.qr(up)
    down_basis, down_rest = torch.linalg.qr(down.T)
    left, values, right = torch.linalg.svd(up_rest @ down_rest.T)
    rank = ended[1].shape[0]
    scale = values[:rank].sqrt()
    return (up_basis @ left[:, :rank] * scale).float(), (scale[:, None] * right[:rank] @ down_basis.T).float()
