"""Fernandez et al.'s experiment as tables in Markdown, numbers in JSON, and one HTML page. Runs nothing."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from engine.evaluation.pages import ReportTable, chart, write_pages
from engine.intervals import percent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from engine.evaluation.energy_considerations import EnergyConsiderations, MeasureRow
    from engine.evaluation.request_bins import BinnedRequests, RequestBin
    from engine.evaluation.spending import Yardstick
    from engine.intervals import Estimate

PUBLISHED_SAVING = 0.73
"""What all measures together saved at most, on GPUs in a data centre (the paper's abstract)."""

_ABOUT = (
    "Published (arXiv 2504.17674): larger models, joules of GPUs in a data centre, up to 73 % saved of an unoptimised "
    "baseline; compare shares, not joules. Rounded weights, sampling and green mode change the text; what green mode "
    "loses by that is told by `green-code evaluate`."
)
_SIZE_COLOURS = ("#3b7dd8", "#2e9e5b", "#c9a227", "#b5543c", "#7a5fb0", "#56625b", "#d98ca5", "#4fb0ae")


def write_energy_considerations(
    folder: Path,
    found: EnergyConsiderations,
    requests: BinnedRequests,
    yardstick: Yardstick,
    *,
    model: str,
    device: str,
    setting: str,
    remarks: Sequence[str],
) -> str:
    """Writes the page and the numbers, and gives the tables in Markdown.

    Raises:
        ConfigError: If the files cannot be written.
    """
    unit = yardstick.unit
    notes = [
        f"{model} on {device}; {setting}. {yardstick.told} Intervals are of 95 %, over the rounds.",
        _told(requests),
        _ABOUT,
    ]
    if remarks:
        notes.append(" ".join(remarks))
    together = found.together.as_percent()
    tables = [
        ReportTable(
            title="Published, and here",
            head=("", "published", "here"),
            rows=[
                ["saved of the baseline by all measures", f"up to {percent(PUBLISHED_SAVING, form='.0f')}", together]
            ],
        ),
        ReportTable(
            title="Each measure behind the one before it",
            head=("measure", "saves of what was before", "of the baseline", "share of all that is saved"),
            rows=_cells(found.steps),
        ),
        ReportTable(
            title="The product with one measure taken away",
            head=("without", "the measure saves of that", "of the baseline", "share of all that is saved"),
            rows=_cells(found.without),
        ),
        ReportTable(
            title="Every way to run the workload",
            head=("way", f"{unit} a request", "saved of the baseline", *(_size(each) for each in requests.bins)),
            rows=[
                [row.way, _figure(row.spent), row.saved.as_percent(), *(f"{cost:.3g}" for cost in row.by_bin)]
                for row in found.rows
            ],
        ),
        ReportTable(
            title="The bins",
            head=("prompt and new tokens", "requests", "share"),
            rows=[
                [
                    _size(each),
                    f"{each.requests:,}",
                    percent(each.requests / sum(other.requests for other in requests.bins)),
                ]
                for each in requests.bins
            ],
        ),
    ]
    return write_pages(
        folder,
        title="Energy Considerations, reproduced",
        notes=notes,
        charts=[
            chart(
                partial(_draw_steps, found=found), told="What is left of the baseline behind each measure", height=3.6
            ),
            chart(
                partial(_draw_ways, found=found, requests=requests, unit=unit),
                told="What a mean request takes, by the way it is run",
                height=5.6,
            ),
        ],
        tables=tables,
        numbers={"model": model, "device": device, "setting": setting, "unit": unit}
        | {"workload": asdict(requests), "remarks": list(remarks), **asdict(found)},
    )


def _cells(rows: Sequence[MeasureRow]) -> list[list[str]]:
    return [[row.name, *(each.as_percent() for each in (row.saved, row.of_baseline, row.share))] for row in rows]


def _draw_steps(figure: Figure, *, found: EnergyConsiderations) -> None:
    """What is left of the baseline behind each measure."""
    axes = figure.subplots()
    left, names = 100.0, ["baseline"]
    axes.bar(0, left, color="#9aa39d")
    for at, row in enumerate(found.steps, start=1):
        saved = 100 * row.of_baseline.value
        axes.bar(at, saved, bottom=left - saved, color="#2e9e5b" if saved >= 0 else "#b5543c")
        axes.annotate(f"{-saved:+.1f}", (at, max(left, left - saved)), ha="center", va="bottom", fontsize="small")
        left -= saved
        names.append(row.name)
    axes.bar(len(names), left, color="#3b7dd8")
    names.append("product")
    axes.axhline(100 * (1 - PUBLISHED_SAVING), color="#56625b", linestyle="--", linewidth=1)
    end = len(names) - 0.6, 100 * (1 - PUBLISHED_SAVING)
    axes.annotate("published: up to 73 % saved", end, ha="right", va="bottom", fontsize="small")
    axes.set_xticks(range(len(names)), [name.replace(", ", ",\n") for name in names], fontsize="small")
    axes.set_ylabel("% of the baseline")


def _draw_ways(figure: Figure, *, found: EnergyConsiderations, requests: BinnedRequests, unit: str) -> None:
    """Each way to run a mean request, by what its bins add."""
    axes = figure.subplots()
    rows, all_requests = found.rows[::-1], sum(each.requests for each in requests.bins)
    begun = [0.0] * len(rows)
    for at, each in enumerate(requests.bins):
        widths = [row.by_bin[at] * each.requests / all_requests for row in rows]
        axes.barh(
            [row.way for row in rows],
            widths,
            left=begun,
            color=_SIZE_COLOURS[at % len(_SIZE_COLOURS)],
            label=_size(each),
        )
        begun = [before + width for before, width in zip(begun, widths, strict=True)]
    spent = [row.spent for row in rows]
    errors = [[each.value - each.low for each in spent], [each.high - each.value for each in spent]]
    axes.errorbar(begun, range(len(rows)), xerr=errors, fmt="none", ecolor="#1d2420", capsize=2)
    axes.set_xlabel(f"{unit} a request")
    axes.legend(frameon=False, fontsize="small", title="prompt and new tokens", loc="lower right")


def _told(requests: BinnedRequests) -> str:
    return (
        f"The workload is {requests.name}: bins with {percent(requests.covered, form='.0f')} of its requests, of which "
        f"{percent(requests.shortened, form='.0f')} are longer than was run here, and were cut."
    )


def _size(each: RequestBin) -> str:
    return f"{each.prompt_tokens:,} + {each.new_tokens:,}"


def _figure(found: Estimate) -> str:
    return f"{found.value:.3g} ({found.low:.3g} to {found.high:.3g})"
