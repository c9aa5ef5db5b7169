"""What the runs of an evaluation say together: ratios to the baseline with 95 % intervals, fronts, the slider's steps.

Every figure is a ratio of sums over places, and its interval a paired bootstrap: the same resampled places for every
arm, so that what makes a place hard or dear is not mistaken for a difference between arms. Plain numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.intervals import Floats, draws, estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.evaluation.runs import PlaceRun
    from engine.intervals import Estimate


class Runs:
    """The runs of all arms at the same places, as columns; and their resamples.

    Args:
        runs: Every arm once at every place.
        baseline: The arm that ratios are taken against.
        n_resamples: How many times the places are drawn again.
    """

    def __init__(self, runs: Sequence[PlaceRun], baseline: str, *, n_resamples: int = 2000) -> None:
        self.arms = tuple(dict.fromkeys(run.arm for run in runs))
        self.baseline = baseline
        self.n_places = len({run.place for run in runs})
        self._runs = {
            arm: sorted((run for run in runs if run.arm == arm), key=lambda run: run.place) for arm in self.arms
        }
        assert all(len(of_arm) == self.n_places for of_arm in self._runs.values())
        self._counts = draws(self.n_places, n_resamples=n_resamples)

    def of(self, arm: str) -> list[PlaceRun]:
        """The runs of one arm in the order of the places."""
        return self._runs[arm]

    def sums(self, arm: str, column: str) -> Floats:
        """The sum of a column over the sample and over each resample, [1 + R]."""
        values = np.array([getattr(run, column) for run in self._runs[arm]], dtype=np.float64)
        return self._counts @ values

    def relative(self, arm: str, column: str) -> Floats:
        """A column's sum relative to the baseline's, [1 + R]; the same amount where both are nothing."""
        return _ratio(self.sums(arm, column), self.sums(self.baseline, column))

    def saved(self, arm: str, column: str) -> Estimate:
        """The share of a column's sum that the arm saves against the baseline; negative where it takes more."""
        return estimate(1.0 - self.relative(arm, column))

    def mean(self, arm: str, column: str, per: str | None = None) -> Estimate:
        """A column's mean over places, or its sum over that of another column."""
        divisor = self._counts.sum(axis=1) if per is None else self.sums(arm, per)
        return estimate(_ratio(self.sums(arm, column), divisor, empty=0.0))

    def point(self, arm: str) -> tuple[Floats, Floats]:
        """Energy saved and kept text that is left, both relative to the baseline, each [1 + R]."""
        return 1.0 - self.relative(arm, "decode_j"), self.relative(arm, "kept")

    def best_at_small_loss(self, arms: Sequence[str]) -> str | None:
        """The arm of the list that saves most energy at a loss of kept text of at most 2 %; None without one."""
        fitting = [arm for arm in arms if self.relative(arm, "kept")[0] >= 1.0 - MAX_LOSS]
        return max(fitting, key=lambda arm: self.saved(arm, "decode_j").value, default=None)


MAX_LOSS = 0.02
"""Relative loss of kept text up to which a saving counts as free."""


def front_at(saved: Floats, points: Sequence[tuple[Floats, Floats]]) -> Floats:
    """The kept share that a family of arms reaches where it saves as much, [1 + R].

    Between two arms lies what one gets by drawing one of them for each suggestion. Beyond the greenest arm the line
    goes on to offering nothing: all energy saved, nothing kept.
    """
    return _by_resample(_front, points, saved)


def hypervolume(points: Sequence[tuple[Floats, Floats]]) -> Floats:
    """The area that a family's arms dominate, of energy saved (0 to 1) times kept share (0 to 1), [1 + R]."""
    return _by_resample(lambda xs, ys, _: _area(xs, ys), points, points[0][0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Slider:
    """How evenly energy falls over the slider.

    Attributes:
        energy_j: Mean decode energy a suggestion at each setting, in joules.
        monotone: Whether it never rises.
        largest_step: The largest change from one setting to the next, as a share of the whole range; None without one.
        monotone_share: The share of resamples in which it never rises.
    """

    energy_j: tuple[float, ...]
    monotone: bool
    largest_step: float | None
    monotone_share: float


def slider(runs: Runs, arms: Sequence[str]) -> Slider:
    """Judges the energy over the arms of the slider, from lossless to greenest."""
    energy = np.array([runs.sums(arm, "decode_j") for arm in arms]) / runs.n_places  # [A, 1 + R]
    steps = -np.diff(energy, axis=0)
    fall = energy[0, 0] - energy[-1, 0]
    largest = float(np.abs(steps[:, 0]).max() / fall) if fall > 0 else None
    never_rises = (steps >= -1e-12 * energy[0]).all(axis=0)
    return Slider(
        energy_j=tuple(map(float, energy[:, 0])),
        monotone=bool(never_rises[0]),
        largest_step=largest,
        monotone_share=float(never_rises[1:].mean()),
    )


def _ratio(numerator: Floats, divisor: Floats, *, empty: float = 1.0) -> Floats:
    safe = np.where(divisor > 0, divisor, 1.0)
    return np.where(divisor > 0, numerator / safe, np.where(numerator > 0, np.inf, empty))


def _by_resample(
    judge: Callable[[Floats, Floats, float], float], points: Sequence[tuple[Floats, Floats]], at: Floats
) -> Floats:
    xs, ys = np.array([x for x, _ in points]), np.array([y for _, y in points])  # [A, 1 + R]
    return np.array([judge(xs[:, idx], ys[:, idx], float(at[idx])) for idx in range(xs.shape[1])])


def _front(xs: Floats, ys: Floats, at: float) -> float:
    """The upper concave hull of the points, of nothing saved at the best of them, and of (1, 0), read at `at`."""
    best = max(range(len(xs)), key=lambda idx: (ys[idx], xs[idx]))
    corners = sorted([*zip(xs.tolist(), ys.tolist(), strict=True), (1.0, 0.0)])
    hull: list[tuple[float, float]] = [(float(xs[best]), float(ys[best]))]
    for corner in corners:
        if corner[0] <= hull[0][0]:
            continue
        while len(hull) > 1 and _turns_up(hull[-2], hull[-1], corner):
            hull.pop()
        hull.append(corner)
    return float(np.interp(at, [x for x, _ in hull], [y for _, y in hull]))


def _turns_up(first: tuple[float, float], second: tuple[float, float], third: tuple[float, float]) -> bool:
    (x1, y1), (x2, y2), (x3, y3) = first, second, third
    return (x2 - x1) * (y3 - y1) >= (x3 - x1) * (y2 - y1)


def _area(xs: Floats, ys: Floats) -> float:
    """The union of the rectangles from (0, 0) to each point, both cut to 0 ... 1."""
    corners = sorted(zip(np.clip(xs, 0, 1).tolist(), np.clip(ys, 0, 1).tolist(), strict=True), reverse=True)
    area = height = 0.0
    for at, (x, y) in enumerate(corners):
        height = max(height, y)
        following = corners[at + 1][0] if at + 1 < len(corners) else 0.0
        area += (x - following) * height
    return area
