"""From what windows took to the lines of a table. It measures nothing and prints nothing."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lsp_server.replay.replay import ReplayRun
    from lsp_server.replay.windows import SocketCosts, WindowsTaken

Row = tuple[str, ...]
"""Four: what, for engines of their own, for a shared one, and one beside the other."""


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that this share of all do not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def rows(opened: Sequence[WindowsTaken], costs: SocketCosts, typed: Sequence[Sequence[ReplayRun]]) -> list[Row]:
    """All lines.

    Args:
        opened: Windows opened both ways, in turns.
        costs: Of single requests.
        typed: What some persons typed, each alone, and several at once; or nothing.
    """

    def both(what: str, unit: str, digits: int, taken: Callable[[WindowsTaken], float]) -> Row:
        alone, shared = (
            median(taken(one) for one in opened if one.sharing == sharing) for sharing in ("alone", "shared")
        )
        figures = (f"{value:.{digits}f} {unit}".strip() for value in (alone, shared))
        return (what, *figures, f"{shared / alone:.2f}" if alone else "")

    n_windows = len(opened[0].first_s)
    found = [both(f"resident memory of {n_windows} windows", "MB", 0, lambda one: one.resident_mb)]
    if all(one.proportional_mb is not None for one in opened):
        found.append(both("the same, what is mapped together once", "MB", 0, lambda one: one.proportional_mb or 0.0))
    for index in range(n_windows):
        what = f"window {index + 1}, from its start to its first answer"
        found.append(both(what, "s", 2, lambda one, index=index: one.first_s[index]))  # type: ignore[misc]
    found.append(both("cores taken while nothing happens", "", 4, lambda one: one.idle_cpu))
    whole_ms = [median(costs.whole_ms[sharing]) for sharing in ("alone", "shared")]
    found += [
        ("a request to the model, median", *(f"{ms:.2f} ms" for ms in whole_ms), f"{whole_ms[1] / whole_ms[0]:.2f}"),
        ("beyond the engine's own time, a request, median", *_pair(median, costs), ""),
        ("the same, the slowest of twenty", *_pair(lambda values: percentile(values, 0.95), costs), ""),
        ("from no engine to a loaded one", "", f"{costs.reload_s:.2f} s", ""),
        ("to come to a loaded one", "", f"{costs.join_s:.3f} s", ""),
    ]
    answered = [[second for run in runs for second in run.answered_s] for runs in typed]
    if len(typed) == 2:  # noqa: PLR2004 - alone, and at once
        one, many = (percentile(seconds, 0.95) for seconds in answered)
        what = f"text for {len(typed[1])} people at once, the slowest of twenty, beside one alone"
        found.append((what, f"{one:.2f} s", f"{many:.2f} s", f"{many / one:.2f}"))
        found.append(("requests, and how many brought text", *(_asked(runs) for runs in typed), ""))
    return found


def _pair(of: Callable[[Sequence[float]], float], costs: SocketCosts) -> tuple[str, str]:
    return f"{of(costs.alone_ms):.2f} ms", f"{of(costs.shared_ms):.2f} ms"


def _asked(runs: Sequence[ReplayRun]) -> str:
    return f"{sum(run.asked for run in runs)}, {sum(run.shown for run in runs)}"
