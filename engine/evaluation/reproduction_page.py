"""GREEN-CODE's experiment as a table in Markdown, numbers in JSON, and one HTML page with plots. Runs nothing."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from engine.evaluation.arms import BASELINE
from engine.evaluation.green_code_paper import CACHED_J, PUBLISHED
from engine.evaluation.pages import ReportTable, chart, plain_logarithms, write_pages
from engine.evaluation.reproduction import UNCACHED
from engine.intervals import percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from engine.evaluation.green_code_paper import PublishedRow
    from engine.evaluation.reproduction import DataSet, ReproducedRow

_HEAD = (
    *("way to decode", "J", "s", "saved, cache", "saved, no cache", "layers", "ROUGE-L", "CodeBLEU"),
    *("exact", "edit", "tokens right"),
)
_PUBLISHED_HEAD = ("published", "J", "s", "saved, no cache", "layers", "ROUGE-L", "CodeBLEU", "exact")
_OTHER_MACHINES = (
    "Ours and the published figures are of other machines, models and parts of a machine: compare savings and losses, "
    "not joules."
)
_LANGUAGES: Mapping[DataSet, tuple[str, ...]] = {
    "held-out-python": ("python",),
    "held-out-java": ("java",),
    "py150": ("python",),
    "javacorpus": ("java",),
}
_NOT_TYPED = (
    "The text is tokenised: single blanks between tokens, no indentation, literals masked. It is no text that a "
    "developer types, and its scores say little of one."
)


def write_reproduction(
    folder: Path, rows: Sequence[ReproducedRow], *, model: str, device: str, data_set: DataSet, n_places: int
) -> str:
    """Writes the page and the numbers, and gives the tables in Markdown.

    Raises:
        ConfigError: If the files cannot be written.
    """
    setting = f"{data_set}, {n_places} places, 20 % of each file as context, up to 15 tokens"
    cached = f"With one, the same Llama took {CACHED_J:g} J at full depth (30 % of context), against 530 J without."
    notes = [
        f"{model} on {device}; {setting}. Joules are {rows[0].provenance.value}. {_OTHER_MACHINES}",
        f"The published savings are against full depth without a KV cache. {cached}",
    ]
    if not data_set.startswith("held-out"):
        notes.append(_NOT_TYPED)
    published = [row for row in PUBLISHED if row.language in _LANGUAGES.get(data_set, ("python", "java"))]
    ours, theirs = [_cells(row) for row in rows], [_published_cells(row, published) for row in published]
    numbers = {
        "model": model,
        "device": device,
        "data_set": data_set,
        "n_places": n_places,
        "rows": [asdict(row) for row in rows],
        "published": [asdict(row) for row in published],
    }
    return write_pages(
        folder,
        title="GREEN-CODE, reproduced",
        notes=notes,
        charts=[chart(partial(_draw, rows=rows), told="ROUGE-L over joules, and joules, of each way to decode")],
        tables=[
            ReportTable(title="Here", head=_HEAD, rows=ours),
            ReportTable(title="Published", head=_PUBLISHED_HEAD, rows=theirs),
        ],
        numbers=numbers,
    )


def _cells(row: ReproducedRow) -> list[str]:
    return [
        row.arm,
        f"{row.energy_j:.2f}",
        f"{row.elapsed_s:.3f}",
        percent(row.saved, form="+.1f"),
        percent(row.saved_uncached, form="+.1f"),
        f"{row.mean_layers:.1f}",
        f"{row.rouge_l:.3f}",
        "" if row.code_bleu is None else f"{row.code_bleu:.3f}",
        percent(row.exact),
        f"{row.edit_similarity:.1f}",
        percent(row.token_accuracy),
    ]


def _published_cells(row: PublishedRow, published: Sequence[PublishedRow]) -> list[str]:
    same = [each for each in published if (each.model, each.language) == (row.model, row.language)]
    (full,) = (each for each in same if each.mean_layers is None)
    return [
        f"{row.model}, {row.language}, {row.setting}",
        f"{row.energy_j:.1f}",
        f"{row.elapsed_s:.3f}",
        percent(1 - row.energy_j / full.energy_j, form="+.1f"),
        "" if row.mean_layers is None else f"{row.mean_layers:.1f}",
        f"{row.rouge_l:.3f}",
        f"{row.code_bleu:.3f}",
        percent(row.exact),
    ]


def _draw(figure: Figure, *, rows: Sequence[ReproducedRow]) -> None:
    """ROUGE-L over energy, and energy of each way to decode."""
    left, right = figure.subplots(1, 2)
    kinds = {BASELINE: ("full depth", "#222"), UNCACHED: ("without a KV cache", "#b5543c")}
    for row in rows:
        is_green = row.arm.startswith("green")
        kind, colour = kinds.get(row.arm, ("green mode", "#2e9e5b") if is_green else ("fixed exits", "#3b7dd8"))
        left.plot(row.energy_j, row.rouge_l, "o", color=colour, label=kind)
        bar = right.barh(row.arm, row.energy_j, color=colour)
        right.bar_label(bar, fmt=" {:.3g}", fontsize=8)
        if is_green:  # names of all would lie upon one another
            name = row.arm.partition(":")[2]
            left.annotate(name, (row.energy_j, row.rouge_l), fontsize=8, xytext=(4, 4), textcoords="offset points")
    left.set(xlabel="joules of a completion", ylabel="ROUGE-L", xscale="log")
    plain_logarithms(left)
    handles, names = left.get_legend_handles_labels()
    once = dict(zip(names, handles, strict=True))
    left.legend(once.values(), once.keys(), frameon=False, fontsize="small")
    right.set(xlabel="joules of a completion")
    right.tick_params(axis="y", labelsize=8)
