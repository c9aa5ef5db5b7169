"""Fits the device cost model to samples of work and joules. Arithmetic on numpy; runs and measures nothing.

What the samples cannot tell apart keeps the proportions of a prior, the shipped default.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from engine.energy.cost_model import COEFFICIENTS, DeviceCostModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from engine.types import Work

PRIOR_WEIGHT = 4e-4
"""Weight of the prior: (2 % noise of a window / 100 % doubt about a coefficient) squared."""


def fit_cost_model(
    samples: Sequence[tuple[Work, float]],
    *,
    prior: DeviceCostModel,
    source: str,
    prior_weight: float = PRIOR_WEIGHT,
) -> DeviceCostModel:
    """Fits the coefficients by non-negative ridge regression towards a prior.

    Minimises  sum_i (w_i x / y_i - 1)^2 + prior_weight sum_k ((x_k - p_k) / s_k)^2  over x >= 0. Residuals are
    relative, as a window's error is. The prior p is first scaled to the samples' total; s_k is p_k, or a layer where
    p_k is 0.

    Args:
        samples: Work and its active joules, positive.
        prior: The proportions where the samples are silent.
        source: For `DeviceCostModel.source`.
        prior_weight: How much the prior counts against the samples.

    Returns:
        The model, without idle power. Its `relative_error` is the mean relative error of each sample as predicted from
        the others (leave-one-out cross-validation).
    """
    assert samples, "a fit needs samples"
    joules = np.array([joules for _, joules in samples])  # [N]
    work = np.array([_features(work, prior) for work, _ in samples])  # [N, K]
    prior_j = np.array([getattr(prior, name) for name in COEFFICIENTS])  # [K]
    prior_j = prior_j * joules.sum() / (work @ prior_j).sum()
    scale_j = np.where(prior_j > 0, prior_j, prior_j[COEFFICIENTS.index("layer_pass_j")])
    relative_work = work * scale_j / joules[:, None]  # coefficients are fitted in units of their scale
    ridge = np.sqrt(prior_weight) * np.eye(len(scale_j))

    def solve(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return _non_negative_least_squares(
            np.vstack([rows, ridge]), np.concatenate([np.ones(len(rows)), ridge @ (prior_j / scale_j)])
        )

    errors = [
        abs(float(row @ solve(np.delete(relative_work, index, axis=0))) - 1.0)
        for index, row in enumerate(relative_work)
    ]
    fitted_j = dict(zip(COEFFICIENTS, map(float, solve(relative_work) * scale_j), strict=True))
    return DeviceCostModel(
        unfitted=(),
        **fitted_j,
        n_layers=prior.n_layers,
        source=source,
        relative_error=float(np.mean(errors)),
        idle_power_w=None,
    )


def _features(work: Work, prior: DeviceCostModel) -> tuple[float, ...]:
    """What multiplies each coefficient in the formula of `engine.energy.cost_model`.

    The further positions of a batched head are weighed by the prior's d / c, which keeps the formula linear.
    """
    head_in_layers = prior.head_pass_j / prior.layer_pass_j
    further_layers = work.layer_tokens - work.layer_passes + (work.head_tokens - work.head_passes) * head_in_layers
    return (
        work.prefill_tokens + further_layers / prior.n_layers,
        work.tokens,
        work.layer_passes,
        work.head_passes,
        work.policy_checks,
        work.propagated_layers,
        work.context_passes,
        work.context_tokens - work.context_passes,
    )


def _non_negative_least_squares(matrix: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solves min |matrix x - target| over x >= 0 exactly, by trying each set of columns that may be positive.

    The optimum is the plain least-squares solution on its own support; with K columns there are 2^K of them, 256 here.
    """
    best, best_residual = np.zeros(matrix.shape[1]), float(target @ target)
    for choice in product((False, True), repeat=matrix.shape[1]):
        support = np.flatnonzero(choice)
        if not len(support):
            continue
        columns = matrix[:, support]
        solution = np.linalg.lstsq(columns, target, rcond=None)[0]
        residual = float(np.sum((columns @ solution - target) ** 2))
        if (solution >= 0).all() and residual < best_residual:
            best, best_residual = np.zeros(matrix.shape[1]), residual
            best[support] = solution
    return best
