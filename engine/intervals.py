"""The bootstrap: a figure over a sample, and its 95 % interval by drawing the sample again. Plain numpy.

A figure is a function of sums, so a draw is how often it holds each member of the sample. Figures that share their
draws are compared member by member: what makes a place hard is not mistaken for a difference between two ways to
decode. It knows nothing of places, files or models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

Floats = npt.NDArray[np.float64]

_RESAMPLES = 2000
_SEED = 0
_INTERVAL = (0.025, 0.975)
_NORMAL_QUANTILE = 1.959964  # of 97.5 %


def percent(share: float, *, form: str = ".1f") -> str:
    """A share for people, in a form of Python's: "51.0 %"."""
    return f"{100 * share:{form}} %"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its 95 % interval; NaN where nothing can be said."""

    value: float
    low: float
    high: float

    def as_percent(self) -> str:
        """For people, where it is a share."""
        return f"{percent(self.value)} ({100 * self.low:.1f} to {100 * self.high:.1f})"


def draws(n: int, *, n_resamples: int = _RESAMPLES) -> Floats:
    """How often each draw holds each of `n` members, [1 + R, N]; the first row is the sample itself."""
    rng = np.random.default_rng(_SEED)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples)
    return np.vstack([np.ones((1, n)), drawn])


def draws_of_groups(groups: Sequence[Hashable], *, n_resamples: int = _RESAMPLES) -> Floats:
    """The same in two stages: groups are drawn, and then as many of the members of each as it has.

    Args:
        groups: The group of each member; they are drawn in the order of first appearance.
        n_resamples: How many times.
    """
    rng = np.random.default_rng(_SEED)
    members: dict[Hashable, list[int]] = {}
    for at, group in enumerate(groups):
        members.setdefault(group, []).append(at)
    of_group = list(members.values())
    counts = np.zeros((1 + n_resamples, len(groups)))
    counts[0] = 1.0
    for row in counts[1:]:
        for drawn in rng.integers(len(of_group), size=len(of_group)):
            np.add.at(row, rng.choice(of_group[drawn], size=len(of_group[drawn])), 1.0)
    return counts


def estimate(values: Floats) -> Estimate:
    """The sample's own figure, and the interval of those draws that have one.

    Args:
        values: The figure of the sample, then that of each draw, [1 + R].
    """
    drawn = values[1:][np.isfinite(values[1:])]
    low, high = np.quantile(drawn, _INTERVAL) if drawn.size else (values[0], values[0])
    return Estimate(value=float(values[0]), low=float(low), high=float(high))


def proportion(count: int, n: int) -> Estimate:
    """A share of `n` with Wilson's interval, which says something of none and of all as well."""
    share, z2 = count / n, _NORMAL_QUANTILE**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _NORMAL_QUANTILE * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Estimate(value=share, low=max(0.0, centre - half), high=min(1.0, centre + half))
