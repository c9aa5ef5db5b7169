"""Fits the device cost model to samples of work and joules. Arithmetic on numpy; runs and measures nothing.

What the samples cannot tell apart keeps the proportions of a prior, the shipped default.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.energy.cost_model import COEFFICIENTS, DeviceCostModel
from engine.intervals import Estimate, draws, estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from engine.types import Work

PRIOR_WEIGHT = 4e-4
"""Weight of the prior: (2 % noise of a window / 100 % doubt about a coefficient) squared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A fitted model, and what it says of each sample.

    Attributes:
        model: The model, without idle power.
        predicted_j: Joules of each sample as predicted from the others (leave-one-out cross-validation).
    """

    model: DeviceCostModel
    predicted_j: tuple[float, ...]


def fit_cost_model(
    samples: Sequence[tuple[Work, float]],
    *,
    prior: DeviceCostModel,
    source: str,
    prior_weight: float = PRIOR_WEIGHT,
) -> Fit:
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
        The fit. Its model's `relative_error` is the mean relative error of `predicted_j`.
    """
    equations = _Equations(samples, prior, prior_weight)
    joules = np.array([joules for _, joules in samples])
    left_out = ~np.eye(len(samples), dtype=bool)
    relative = [float(row @ equations.solve(kept)) for row, kept in zip(equations.rows, left_out, strict=True)]
    errors = [abs(predicted - 1.0) for predicted in relative]
    fitted_j = equations.joules(equations.solve(np.ones(len(samples))))
    model = DeviceCostModel(
        unfitted=(),
        **dict(zip(COEFFICIENTS, fitted_j.tolist(), strict=True)),
        n_layers=prior.n_layers,
        source=source,
        relative_error=float(np.mean(errors)),
        idle_power_w=None,
    )
    return Fit(model=model, predicted_j=tuple((np.array(relative) * joules).tolist()))


def coefficient_intervals(
    samples: Sequence[tuple[Work, float]],
    *,
    prior: DeviceCostModel,
    n_resamples: int = 200,
) -> dict[str, Estimate]:
    """The fitted coefficients by name, with 95 % intervals by fitting to samples drawn again.

    A coefficient that the samples are silent of has a narrow one all the same: it is the prior's.
    """
    equations = _Equations(samples, prior, PRIOR_WEIGHT)
    drawn = np.array(
        [equations.joules(equations.solve(np.sqrt(counts))) for counts in draws(len(samples), n_resamples=n_resamples)]
    )
    return {name: estimate(drawn[:, at]) for at, name in enumerate(COEFFICIENTS)}


class _Equations:
    """What the coefficients are to satisfy, in units of their scale.

    Attributes:
        rows: Relative work of each sample, [N, K]: times the coefficients it should be 1.
    """

    def __init__(self, samples: Sequence[tuple[Work, float]], prior: DeviceCostModel, prior_weight: float) -> None:
        assert samples, "a fit needs samples"
        joules = np.array([joules for _, joules in samples])  # [N]
        work = np.array([_features(work, prior) for work, _ in samples])  # [N, K]
        prior_j = np.array([getattr(prior, name) for name in COEFFICIENTS])  # [K]
        prior_j = prior_j * joules.sum() / (work @ prior_j).sum()
        self._scale_j = np.where(prior_j > 0, prior_j, prior_j[COEFFICIENTS.index("layer_pass_j")])
        self.rows: NDArray[np.float64] = work * self._scale_j / joules[:, None]
        self._ridge = np.sqrt(prior_weight) * np.eye(len(prior_j))
        self._wanted = self._ridge @ (prior_j / self._scale_j)

    def solve(self, weights: NDArray[Any]) -> NDArray[np.float64]:
        """The coefficients, where samples count by the squares of their weights [N]."""
        counted = weights > 0
        return _non_negative_least_squares(
            np.vstack([self.rows[counted] * weights[counted, None], self._ridge]),
            np.concatenate([weights[counted].astype(np.float64), self._wanted]),
        )

    def joules(self, solved: NDArray[np.float64]) -> NDArray[np.float64]:
        """Coefficients in joules."""
        scaled: NDArray[np.float64] = solved * self._scale_j
        return scaled


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
