"""Closed-form exit maps: ridge regression from the states at each exit to the last states, in one pass over the text.

Only sums are kept, in fp64, so memory does not grow with the text and a killed run goes on from its last checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

RIDGES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)  # relative to the mean variance of the inputs


@dataclass(slots=True, kw_only=True)
class RegressionSums:
    """What a linear regression needs to know of its data, for E exits at once.

    Attributes:
        xx: Sums of x xᵀ, where x is the state at the exit followed by 1, [E, D + 1, D + 1].
        xy: Sums of x yᵀ, where y is the last state, [E, D + 1, D].
        yy: Sum of |y|², [].
        count: Tokens seen.
    """

    xx: torch.Tensor
    xy: torch.Tensor
    yy: torch.Tensor
    count: int

    @classmethod
    def empty(cls, n_exits: int, width: int, device: torch.device | str = "cpu") -> RegressionSums:
        """Sums over nothing."""
        kind = {"dtype": torch.float64, "device": device}
        return cls(
            xx=torch.zeros(n_exits, width + 1, width + 1, **kind),  # type: ignore[call-overload]  # both are its own
            xy=torch.zeros(n_exits, width + 1, width, **kind),  # type: ignore[call-overload]  # as above
            yy=torch.zeros((), **kind),  # type: ignore[call-overload]  # as above
            count=0,
        )

    def add(self, exits: Sequence[torch.Tensor], last: torch.Tensor) -> None:
        """Adds T tokens: states at each exit and at the last layer, each [T, D]."""
        y = last.double()
        ones = torch.ones(len(y), 1, dtype=torch.float64, device=y.device)
        for idx, state in enumerate(exits):
            x = torch.cat((state.double(), ones), dim=1)
            self.xx[idx] += x.T @ x
            self.xy[idx] += x.T @ y
        self.yy += y.square().sum()
        self.count += len(y)


def solve(sums: RegressionSums, exit_index: int, ridge: float) -> torch.Tensor:
    """The affine map [D + 1, D] of one exit, as rows for inputs, the last one for the bias.

    Solves (XᵀX + λI) A = Xᵀ(Y - X) and gives I + A: where the text says nothing, the map changes nothing, as if
    the exit had none. λ is `ridge` times the mean of the diagonal; the bias is not held back.
    """
    xx, xy = sums.xx[exit_index], sums.xy[exit_index]
    width = xy.shape[1]
    penalty = torch.full((width + 1,), ridge * float(xx.diagonal()[:width].mean()), dtype=xx.dtype, device=xx.device)
    penalty[width] = 0.0
    identity = torch.eye(width + 1, width, dtype=xx.dtype, device=xx.device)
    correction: torch.Tensor = torch.linalg.solve(xx + penalty.diag(), xy - xx[:, :width])
    return identity + correction


def mean_squared_error(sums: RegressionSums, exit_index: int, affine: torch.Tensor) -> float:
    """Mean of |y - x A|² over the tokens of `sums`, which need not be those that `affine` was fitted to."""
    cross = (affine * sums.xy[exit_index]).sum()
    square = (affine * (sums.xx[exit_index] @ affine)).sum()
    return float(sums.yy - 2 * cross + square) / sums.count


def fit(train: RegressionSums, validation: RegressionSums) -> list[torch.Tensor]:
    """For each exit the map [D + 1, D] of the ridge that errs least on the validation text."""
    fitted = []
    for idx in range(len(train.xx)):
        candidates = [solve(train, idx, ridge) for ridge in RIDGES]
        errors = [mean_squared_error(validation, idx, affine) for affine in candidates]
        fitted.append(candidates[errors.index(min(errors))])
    return fitted
