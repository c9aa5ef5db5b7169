"""Solovyeva and Castor's experiment as tables in Markdown, numbers in JSON, and one HTML page. Runs nothing."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from engine.evaluation.answers import PLAIN, STOPPED
from engine.evaluation.pages import ReportTable, chart, plain_logarithms, write_pages
from engine.intervals import percent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from engine.evaluation.decoding_energy import DecodingEnergy, PhaseRow
    from engine.evaluation.spending import Yardstick
    from engine.intervals import Estimate

PUBLISHED_AMPLIFICATION = (0.013, 0.518)
"""How much dearer a decoded token became behind a longer prompt, over ten models of 3 to 7 billion parameters."""

PUBLISHED_SUPPRESSION = (0.44, 0.89)
"""What suppressing babble saved, at unchanged accuracy, in the three of these ten that babbled."""

_COLOURS = {"prefill": "#3b7dd8", "decode": "#2e9e5b", "other": "#b5543c"}
_PHASES = ("prompt tokens", "prefill, {unit}", "a decoded token, {unit}", "dearer than behind the shortest", "modelled")
_WORKLOADS = (
    *("workload", "problems", "prompt tokens", "tokens", "prefill, modelled J", "decode, modelled J"),
    *("decode's share of CPU time", "likeness to the line"),
)
_WAYS = (*("decoded", "tokens", "{unit}", "modelled J", "saved tokens", "saved {unit}", "saved modelled J", "pass@1"),)
_ABOUT = (
    "Published (arXiv 2602.05712): ten models of 3 to 7 billion parameters, joules of a GPU alone; compare shares, not "
    "joules. Modelled joules are those of the product's cost model as it is shipped."
)


def write_decoding_energy(
    folder: Path, found: DecodingEnergy, yardstick: Yardstick, *, model: str, device: str, setting: str
) -> str:
    """Writes the page and the numbers, and gives the tables in Markdown.

    Raises:
        ConfigError: If the files cannot be written.
    """
    notes = [
        f"{model} on {device}; {setting}. {yardstick.told} Intervals are of 95 %.",
        _ABOUT,
    ]
    tables = [
        ReportTable(title="Published, and here", head=("", "published", "here"), rows=_beside(found)),
        ReportTable(
            title="Prefill and decode, by the prompt's length",
            head=_named(_PHASES, yardstick),
            rows=[
                [
                    f"{row.prompt_tokens:,}",
                    _figure(row.prefill),
                    _figure(row.token),
                    row.amplification.as_percent(),
                    percent(row.modelled_amplification),
                ]
                for row in found.phases
            ],
        ),
        ReportTable(
            title="Workloads, decoded as far as they go",
            head=_WORKLOADS,
            rows=[
                [
                    row.workload,
                    str(row.n_items),
                    f"{row.prompt_tokens:.0f}",
                    f"{row.tokens:.0f}",
                    f"{row.prefill_j:.2f}",
                    f"{row.decode_j:.2f}",
                    row.decode_share.as_percent(),
                    "" if row.score is None else _figure(row.score),
                ]
                for row in found.workloads
            ],
        ),
        ReportTable(
            title="Babbling, and its suppression",
            head=_named(_WAYS, yardstick),
            rows=[
                [
                    row.way,
                    _figure(row.tokens),
                    _figure(row.spent),
                    _figure(row.modelled_j),
                    *(saved.as_percent() for saved in (row.saved_tokens, row.saved, row.saved_modelled)),
                    "not run"
                    if row.pass_at_1 is None
                    else f"{row.passed} of {row.n_items}: {row.pass_at_1.as_percent()}",
                ]
                for row in found.ways
            ],
        ),
    ]
    unit, charts = yardstick.unit, []
    if found.phases:
        told = "What reading a prompt and decoding a token behind it take, by the prompt's length"
        charts.append(chart(partial(_draw_phases, rows=found.phases, unit=unit), told=told))
    if found.ways:
        told = "What a function takes, by the way it is decoded"
        charts.append(chart(partial(_draw_answers, found=found, unit=unit), told=told, height=3.4))
    return write_pages(
        folder,
        title="Decoding the Energy, reproduced",
        notes=notes,
        charts=charts,
        tables=[table for table in tables if table.rows],
        numbers={"model": model, "device": device, "setting": setting, "unit": yardstick.unit, **asdict(found)},
    )


def _beside(found: DecodingEnergy) -> list[list[str]]:
    rows = []
    if found.phases:
        longest = found.phases[-1]
        rows.append(
            [
                f"a token behind {longest.prompt_tokens:,} is dearer than behind {found.phases[0].prompt_tokens:,}",
                " to ".join(map(percent, PUBLISHED_AMPLIFICATION)),
                longest.amplification.as_percent(),
            ]
        )
    if found.babbling is not None:
        stopped = next(row for row in found.ways if row.way == STOPPED)
        rows += [
            ["functions that are followed by more text", "3 of 10 models babble", found.babbling.as_percent()],
            [
                "saved by ending with the function",
                "{:.0f} to {:.0f} % of those that babble".format(*(100 * share for share in PUBLISHED_SUPPRESSION)),
                stopped.saved.as_percent(),
            ],
        ]
        if stopped.pass_at_1 is not None and found.same_text is not None:
            plain = next(row for row in found.ways if row.way == PLAIN)
            rows += [
                ["pass@1, ended with the function", "not affected", f"{stopped.passed} of {stopped.n_items}"],
                ["of texts that go on, cut there afterwards: the same text", "", percent(found.same_text, form=".0f")],
                ["pass@1, texts that go on as they stand", "", f"{plain.passed} of {plain.n_items}"],
            ]
    return rows


def _draw_phases(figure: Figure, *, rows: Sequence[PhaseRow], unit: str) -> None:
    left, right = figure.subplots(1, 2)
    at = [row.prompt_tokens for row in rows]
    for name, estimates in (("prefill", [row.prefill for row in rows]), ("decode", [row.token for row in rows])):
        label = "reading the prompt" if name == "prefill" else "a token decoded behind it"
        left.plot(at, [each.value for each in estimates], "o-", color=_COLOURS[name], label=label)
        left.fill_between(
            at, [each.low for each in estimates], [each.high for each in estimates], color=_COLOURS[name], alpha=0.2
        )
    left.set(xlabel="prompt tokens", ylabel=unit, xscale="log", yscale="log")
    plain_logarithms(left)
    left.legend(frameon=False, fontsize="small")
    low, high = PUBLISHED_AMPLIFICATION
    right.axhspan(100 * low, 100 * high, color="#9aa39d", alpha=0.25, label="published, ten larger models")
    spread = [100 * row.amplification.value for row in rows]
    errors = [
        [100 * (row.amplification.value - row.amplification.low) for row in rows],
        [100 * (row.amplification.high - row.amplification.value) for row in rows],
    ]
    right.errorbar(at, spread, yerr=errors, fmt="o-", capsize=3, color=_COLOURS["decode"], label="here")
    modelled = [100 * row.modelled_amplification for row in rows]
    right.plot(at, modelled, "--", color=_COLOURS["other"], label="the product's cost model")
    right.set(xlabel="prompt tokens", ylabel="% dearer than behind the shortest prompt", xscale="log")
    right.legend(frameon=False, fontsize="small")
    for axes in (left, right):
        axes.set_xticks(at, [f"{length:,}" for length in at])
        axes.set_xticks([], minor=True)


def _draw_answers(figure: Figure, *, found: DecodingEnergy, unit: str) -> None:
    left, right = figure.subplots(1, 2)
    rows = found.ways[::-1]
    names = [row.way if row.passed is None else f"{row.way}\npass@1 {row.passed} of {row.n_items}" for row in rows]
    for axes, estimates, label in (
        (left, [row.spent for row in rows], f"{unit} a function"),
        (right, [row.tokens for row in rows], "tokens a function"),
    ):
        errors = [[each.value - each.low for each in estimates], [each.high - each.value for each in estimates]]
        colours = [_COLOURS["other"] if row.way == PLAIN else _COLOURS["decode"] for row in rows]
        axes.barh(names, [each.value for each in estimates], xerr=errors, color=colours, capsize=3)
        axes.set(xlabel=label)
    right.set_yticks([])


def _figure(found: Estimate) -> str:
    return f"{found.value:.3g} ({found.low:.3g} to {found.high:.3g})"


def _named(head: Sequence[str], yardstick: Yardstick) -> list[str]:
    return [name.format(unit=yardstick.unit) for name in head]
