"""`summarise`: what the runs of each arm say together, with 95 % intervals over files and persons.

Every figure is a ratio of sums. Its interval is a bootstrap of two stages, files and then the persons (seeds) who typed
them, with the same draws for every arm. Plain numpy; it shows nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.intervals import Estimate, Floats, draws_of_groups, estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lsp_server.replay.replay import ReplayRun


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSummary:
    """The runs of one arm.

    Attributes:
        broken_rules: Golden rules broken by the answers, each answer's counted separately.
        saved_share: Characters kept of those typed or kept.
        acceptance: Characters kept of those of all suggestions that were in sight for long enough to be read.
        j_per_kept_char: Joules of everything, for each character kept.
        cpu_s_per_kept_char: CPU seconds likewise.
        wasted_share: Share of the joules spent on completions of which nothing was kept.
        work_ratio: CPU seconds per kept character, as a multiple of the first arm's.
        j_ratio: Joules likewise.
    """

    arm: str
    runs: int
    provenance: str
    typed_chars: int
    kept_chars: int
    keys: int
    mending_keys: int
    asked: int
    shown: int
    broken_rules: int
    computed: int
    reused: int
    cancelled: int
    skipped: int
    tokens: int
    layers: float | None
    energy_j: float | None
    cpu_s: float | None
    latency_p50_s: float
    latency_p95_s: float
    saved_share: Estimate
    acceptance: Estimate
    j_per_kept_char: Estimate
    cpu_s_per_kept_char: Estimate
    wasted_share: Estimate
    work_ratio: Estimate
    j_ratio: Estimate


def summarise(runs: Sequence[ReplayRun], *, n_resamples: int = 2000) -> list[ArmSummary]:
    """Sums up each arm, in the order in which the arms first appear; the first is what ratios are taken to."""
    arms = list(dict.fromkeys(run.arm for run in runs))
    places = sorted({(run.file, run.seed) for run in runs})
    weights = draws_of_groups([file for file, _ in places], n_resamples=n_resamples)
    by_place = {arm: {(run.file, run.seed): run for run in runs if run.arm == arm} for arm in arms}
    columns = {arm: _Columns([by_place[arm][place] for place in places], weights) for arm in arms}
    return [_summary(arm, columns[arm], columns[arms[0]]) for arm in arms]


class _Columns:
    """One arm's runs, at the same places as every other arm's, and their resampled sums."""

    def __init__(self, runs: Sequence[ReplayRun], weights: Floats) -> None:
        self.runs = runs
        self._weights = weights

    def sums(self, column: Callable[[ReplayRun], float | None]) -> Floats:
        """The sum over the sample, and over each resample, [1 + R]."""
        values = [column(run) for run in self.runs]
        sums: Floats = self._weights @ np.array([np.nan if value is None else value for value in values])
        return sums


def _summary(arm: str, columns: _Columns, first: _Columns) -> ArmSummary:
    """Sums up the runs of one arm; ratios are to those of the first arm."""
    runs = columns.runs
    latencies = [latency for run in runs for latency in run.answered_s] or [float("nan")]
    return ArmSummary(
        arm=arm,
        runs=len(runs),
        provenance=" + ".join(sorted({run.costs.provenance for run in runs if run.costs.computed})) or "none",
        typed_chars=sum(run.typed_chars for run in runs),
        kept_chars=sum(run.kept_chars for run in runs),
        keys=sum(run.keys for run in runs),
        mending_keys=sum(run.mending_keys for run in runs),
        asked=sum(run.asked for run in runs),
        shown=sum(run.shown for run in runs),
        broken_rules=sum(len(run.broken_rules) for run in runs),
        computed=sum(run.costs.computed for run in runs),
        reused=sum(run.costs.reused for run in runs),
        cancelled=sum(run.costs.cancelled for run in runs),
        skipped=sum(run.costs.skipped for run in runs),
        tokens=sum(run.costs.tokens for run in runs),
        layers=_total([run.costs.layers if run.costs.tokens else 0.0 for run in runs]),
        energy_j=_total([run.costs.energy_j for run in runs]),
        cpu_s=_total([run.costs.cpu_s for run in runs]),
        latency_p50_s=float(np.quantile(latencies, 0.5)),
        latency_p95_s=float(np.quantile(latencies, 0.95)),
        saved_share=estimate(_ratio(columns.sums(_kept), columns.sums(lambda run: run.typed_chars))),
        acceptance=estimate(_ratio(columns.sums(_kept), columns.sums(lambda run: run.read_chars))),
        j_per_kept_char=estimate(_ratio(columns.sums(_energy_j), columns.sums(_kept))),
        cpu_s_per_kept_char=estimate(_ratio(columns.sums(_cpu_s), columns.sums(_kept))),
        wasted_share=estimate(_ratio(columns.sums(lambda run: run.costs.wasted_j), columns.sums(_energy_j))),
        work_ratio=estimate(_per_kept(columns, _cpu_s) / _per_kept(first, _cpu_s)),
        j_ratio=estimate(_per_kept(columns, _energy_j) / _per_kept(first, _energy_j)),
    )


def _kept(run: ReplayRun) -> float:
    return run.kept_chars


def _energy_j(run: ReplayRun) -> float | None:
    return run.costs.energy_j


def _cpu_s(run: ReplayRun) -> float | None:
    return run.costs.cpu_s


def _per_kept(columns: _Columns, column: Callable[[ReplayRun], float | None]) -> Floats:
    return _ratio(columns.sums(column), columns.sums(_kept))


def _ratio(numerator: Floats, divisor: Floats) -> Floats:
    return np.divide(numerator, divisor, out=np.full_like(numerator, np.nan), where=divisor > 0)


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
