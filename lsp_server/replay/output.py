"""What a replay leaves behind: a table for people, all numbers as JSON, and a plot. It computes nothing."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table

from engine.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from engine.intervals import Estimate
    from lsp_server.replay.replay import ReplayRun
    from lsp_server.replay.summary import ArmSummary

_UNKNOWN = "-"


def table(summaries: Sequence[ArmSummary]) -> Table:
    """One column for each arm."""
    shown = Table("", *(summary.arm for summary in summaries), box=None)
    for label, cell in _ROWS:
        shown.add_row(label, *map(cell, summaries))
    return shown


def write(
    folder: Path, summaries: Sequence[ArmSummary], runs: Sequence[ReplayRun], facts: Mapping[str, object]
) -> None:
    """Writes `replay.json` and, where matplotlib is there, `replay.png`.

    Args:
        folder: Where they go; it is made where it is missing.
        summaries: One row for each arm.
        runs: Every run that was played.
        facts: What was asked for and on which machine, as JSON.

    Raises:
        ConfigError: The folder cannot be written.
    """
    numbers = {"facts": facts, "arms": list(map(asdict, summaries)), "runs": list(map(asdict, runs))}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "replay.json").write_text(json.dumps(_plain(numbers), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"The folder {folder} cannot be written: {error.strerror}.") from error
    _plot(folder / "replay.png", summaries)


def _plot(path: Path, summaries: Sequence[ArmSummary]) -> None:
    """Draws the share of saved characters against the CPU time of one, arm by arm, where matplotlib is there."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return  # green-code[evaluate] has it
    figure = Figure(figsize=(6.5, 4.0), layout="constrained")
    axes = figure.subplots()
    for summary in summaries:
        work, saved = summary.cpu_s_per_kept_char, summary.saved_share
        if not math.isfinite(work.value):
            continue
        axes.errorbar(
            work.value,
            100 * saved.value,
            xerr=_error(work, 1.0),
            yerr=_error(saved, 100.0),
            marker="o",
            capsize=2,
            label=summary.arm,
        )
    axes.set_xlabel("CPU seconds per kept character")
    axes.set_ylabel("characters kept, %")
    axes.set_xscale("log")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=150)


def _error(estimate: Estimate, factor: float) -> list[list[float]] | None:
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return None
    below, above = estimate.value - estimate.low, estimate.high - estimate.value
    return [[factor * max(0.0, below)], [factor * max(0.0, above)]]


def _interval(estimate: Estimate, *, factor: float = 1.0, digits: int = 2) -> str:
    if not math.isfinite(estimate.value):
        return _UNKNOWN
    value, low, high = (f"{factor * figure:.{digits}f}" for figure in (estimate.value, estimate.low, estimate.high))
    return f"{value} ({low} to {high})"


def _number(value: float | None, digits: int = 0) -> str:
    return _UNKNOWN if value is None or not math.isfinite(value) else f"{value:,.{digits}f}"


_ROWS: tuple[tuple[str, Callable[[ArmSummary], str]], ...] = (
    ("characters written", lambda arm: _number(arm.typed_chars)),
    ("of them kept from suggestions", lambda arm: _number(arm.kept_chars)),
    ("kept, %", lambda arm: _interval(arm.saved_share, factor=100, digits=1)),
    ("  of what was in sight to be read, %", lambda arm: _interval(arm.acceptance, factor=100, digits=1)),
    ("keys struck", lambda arm: _number(arm.keys)),
    ("  to delete what the editor closed", lambda arm: _number(arm.mending_keys)),
    ("requests of the editor", lambda arm: _number(arm.asked)),
    ("  answered with text", lambda arm: _number(arm.shown)),
    ("  golden rules broken by it", lambda arm: _number(arm.broken_rules)),
    ("  answered from memory", lambda arm: _number(arm.reused)),
    ("  never asked", lambda arm: _number(arm.skipped)),
    ("  computed", lambda arm: _number(arm.computed)),
    ("  of these cancelled", lambda arm: _number(arm.cancelled)),
    ("tokens decoded", lambda arm: _number(arm.tokens)),
    ("layers run for them", lambda arm: _number(arm.layers)),
    ("joules", lambda arm: _number(arm.energy_j, 1) + f" {arm.provenance}"),
    ("  per kept character", lambda arm: _interval(arm.j_per_kept_char, digits=3)),
    ("  against the first arm", lambda arm: _interval(arm.j_ratio)),
    ("  for text never kept, %", lambda arm: _interval(arm.wasted_share, factor=100, digits=0)),
    ("CPU seconds", lambda arm: _number(arm.cpu_s, 1)),
    ("  per kept character", lambda arm: _interval(arm.cpu_s_per_kept_char, digits=3)),
    ("  against the first arm", lambda arm: _interval(arm.work_ratio)),
    ("latency of text, p50, ms", lambda arm: _number(1000 * arm.latency_p50_s)),
    ("latency of text, p95, ms", lambda arm: _number(1000 * arm.latency_p95_s)),
)


def _plain(value: object) -> object:
    """JSON has no NaN: unknown is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return list(map(_plain, value)) if isinstance(value, (list, tuple)) else value
