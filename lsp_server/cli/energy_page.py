"""A report of the ledger as one self-contained HTML page: charts drawn by matplotlib, and the tables behind them."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from html import escape
from typing import TYPE_CHECKING

from engine.evaluation.pages import ReportTable, chart, html_page, paragraphs
from lsp_server.cli.energy_report import (
    NO_COMPLETION,
    READING_HEAD,
    RESTING_HEAD,
    cells,
    name_of,
    reading_cells,
    resting_cells,
    resting_record,
    sentences,
)
from lsp_server.cli.render import joules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from matplotlib.axes import Axes

    from engine.energy.calibration import RestPower
    from engine.energy.carbon import CarbonIntensity
    from lsp_server.books.reports import Report, Sums

_MOST_ROWS = 200  # of a table, the newest
_MOST_BARS = 12
_PHASES = {"prefill": "#3b7dd8", "decode": "#2e9e5b", "verification": "#c9a227", "policy": "#7a5fb0"}
_REST = "#9aa39d"

_STYLE = """
.tiles { display: flex; flex-wrap: wrap; gap: 1rem; } .tile { border: 1px solid #d5dcd7; border-radius: .5rem;
       padding: .6rem 1rem; min-width: 8rem; } .tile b { display: block; font-size: 1.4rem; }
.tile span { color: #56625b; font-size: .85rem; } details { margin: .6rem 0; }
"""


def page(report: Report, carbon: CarbonIntensity | None, rest: RestPower | None = None) -> str:
    """The page.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    said = paragraphs(sentences(report, carbon, rest))
    if report.total is None:
        body = f"<p>{NO_COMPLETION}</p>{said}{_reading(report)}"
    else:
        body = "".join(
            (
                _tiles(report.total, carbon),
                said,
                _section("day", partial(_stacked, groups=report.by["day"]), report, carbon),
                "<h2>Kept characters for a joule</h2>",
                _chart(partial(_kept, groups=report.by["day"]), "Kept characters for a joule, by day"),
                _section("hour", partial(_stacked, groups=_hours(report)), report, carbon),
                _at_rest(report, rest),
                *(
                    _section(by, partial(_bars, by=by, report=report), report, carbon)
                    for by in ("language", "project", "session")
                ),
                _reading(report),
            )
        )
    made = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    about = (
        f"Made {made} from the ledger on this machine. What a loaded model takes between requests, and reading "
        "projects, is told apart."
    )
    return html_page("Energy of completions", paragraphs([about]) + body, style=_STYLE)


def _tiles(total: Sums, carbon: CarbonIntensity | None) -> str:
    return '<div class="tiles">' + "".join(_tile(*tile) for tile in cells(total, carbon)) + "</div>"


def _tile(name: str, text: str, note: str) -> str:
    under = f"{name}, {note}" if note else name
    return f'<div class="tile"><b>{escape(text)}</b><span>{escape(under)}</span></div>'


def _section(by: str, draw: Callable[[Axes], None], report: Report, carbon: CarbonIntensity | None) -> str:
    groups = report.by[by]
    head = [name for name, *_ in cells(next(iter(groups.values())), carbon)]
    rows = {
        name_of(by, key, report.here): [f"{text} ({note})" if note else text for _, text, note in cells(sums, carbon)]
        for key, sums in groups.items()
    }
    return f"<h2>By {by}</h2>{_chart(draw, f'Joules by {by}')}{_table(by, head, rows)}"


def _table(by: str, head: Iterable[str], rows: Mapping[str, Iterable[str]]) -> str:
    newest = [[name, *texts] for name, texts in list(rows.items())[-_MOST_ROWS:][::-1]]
    told = f"{len(newest)} rows by {by}, the newest first"
    table = ReportTable(title=told, head=[by, *head], rows=newest)
    return f"<details><summary>{escape(told)}</summary>{table.as_html_table()}</details>"


def _at_rest(report: Report, rest: RestPower | None) -> str:
    """The hours in which a loaded model rested."""
    rows = {hour: resting_cells(resting) for hour, resting in resting_record(report, rest, "hour").items()}
    return f"<h2>At rest, by hour</h2>{_table('hour', RESTING_HEAD, rows)}" if rows else ""


def _reading(report: Report) -> str:
    """What it took to read projects."""
    tables = (
        _table(by, READING_HEAD, {name_of(by, key, report.here): reading_cells(one) for key, one in readings.items()})
        for by, readings in report.reading.items()
    )
    return f"<h2>Reading projects</h2>{''.join(tables)}" if report.reading else ""


def _chart(draw: Callable[[Axes], None], told: str) -> str:
    """One chart of one plot."""
    return chart(lambda figure: draw(figure.subplots()), told=told, height=3.4)


def _stacked(axes: Axes, groups: Mapping[str, Sums]) -> None:
    """Joules by phase over time; joules without phases stand apart."""
    at = range(len(groups))
    floor = [0.0] * len(groups)
    for phase, colour in _PHASES.items():
        heights = [getattr(sums, f"{phase}_j") or 0.0 for sums in groups.values()]
        axes.bar(at, heights, bottom=floor, color=colour, label=phase)
        floor = [below + height for below, height in zip(floor, heights, strict=True)]
    rest = [max(0.0, (sums.energy_j or 0.0) - below) for sums, below in zip(groups.values(), floor, strict=True)]
    if any(left > 0.01 * below for left, below in zip(rest, floor, strict=True)):
        axes.bar(at, rest, bottom=floor, color=_REST, label="phase unknown")
    _name_times(axes, list(groups))
    axes.set_ylabel("joules")
    axes.legend(frameon=False, fontsize="small", ncols=5, loc="lower left", bbox_to_anchor=(0.0, 1.0))


def _kept(axes: Axes, groups: Mapping[str, Sums]) -> None:
    known = [
        (at, sums.kept_chars_per_j) for at, sums in enumerate(groups.values()) if sums.kept_chars_per_j is not None
    ]
    axes.plot([at for at, _ in known], [kept for _, kept in known], marker="o", color=_PHASES["decode"])
    _name_times(axes, list(groups))
    axes.set_ylim(bottom=0)
    axes.set_ylabel("characters a joule")


def _bars(axes: Axes, *, by: str, report: Report) -> None:
    """Joules of the dearest groups: for kept text, and for text that nobody kept."""
    dearest = sorted(report.by[by].items(), key=lambda item: item[1].energy_j or 0.0)[-_MOST_BARS:]
    # A dollar begins a formula in matplotlib, and a language is called what the editor wants.
    names = [name_of(by, key, report.here).replace("$", r"\$") for key, _ in dearest]
    wasted = [sums.wasted_j or 0.0 for _, sums in dearest]
    kept = [(sums.energy_j or 0.0) - lost for (_, sums), lost in zip(dearest, wasted, strict=True)]
    axes.barh(range(len(names)), kept, color=_PHASES["decode"], label="for accepted text")
    axes.barh(range(len(names)), wasted, left=kept, color=_REST, label="for text nobody accepted")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("joules")
    axes.legend(frameon=False, fontsize="small", ncols=2, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    for at, (_, sums) in enumerate(dearest):
        axes.annotate(f" {joules(sums.energy_j)}", (sums.energy_j or 0.0, at), va="center", fontsize="small")


def _hours(report: Report) -> Mapping[str, Sums]:
    """The newest two days of hours; all of them are in the table."""
    return dict(list(report.by["hour"].items())[-48:])


def _name_times(axes: Axes, names: list[str]) -> None:
    """Names some of the days or hours, without their year."""
    step = -(-len(names) // 8)
    axes.set_xticks(range(0, len(names), step), [name[5:] for name in names[::step]], fontsize="small")
