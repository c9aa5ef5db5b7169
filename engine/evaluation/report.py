"""An evaluation on paper: one Markdown table with its findings, one JSON file with every number, one plot."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING

from engine.errors import ConfigError
from engine.evaluation.arms import BASELINE, ORACLE, ORACLE_OF_EXITS, ORIGINAL
from engine.evaluation.metrics import mean_code_bleu
from engine.evaluation.statistics import Runs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.evaluation.arms import Arm
    from engine.evaluation.findings import Finding
    from engine.evaluation.places import Place
    from engine.evaluation.runs import PlaceRun

TABLE, NUMBERS, PLOT = "evaluation.md", "evaluation.json", "evaluation.png"

_COLUMNS = (
    "arm",
    "decode energy saved",
    "prompt energy saved",
    "kept text lost",
    "lost of full depth's text",
    "kept, chars",
    "mJ / kept char",
    "line match",
    "edit sim.",
    "ROUGE-L",
    "CodeBLEU",
    "same text as full depth",
    "tokens agreed",
    "tokens",
    "mean layer",
    "weight bytes saved",
    "time saved",
    "CPU saved",
)
_COLOURS = {
    "fixed": "C0",
    "confidence": "C1",
    "random": "C2",
    "slider": "C3",
    "zero": "C4",
    "likely": "C5",
    "ablation": "C7",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What was evaluated, for the head of the report.

    Attributes:
        protocol: Name of the protocol.
        source: Where the places are, for people.
        model: The model, as the user named it.
        exits: Fingerprint of the trained exits.
        device: Where it ran, for people.
        cost_model: Where joules come from, for people.
        n_layers: Full depth.
        seeds: How many draws of places.
        max_new_tokens: Length limit.
        notes: Further sentences, such as on what could not be run.
    """

    protocol: str
    source: str
    model: str
    exits: str
    device: str
    cost_model: str
    n_layers: int
    seeds: int
    max_new_tokens: int
    notes: tuple[str, ...] = ()


def write_report(
    folder: Path,
    conditions: Conditions,
    *,
    places: Sequence[Place],
    arms: Sequence[Arm],
    results: Sequence[PlaceRun],
    findings: Sequence[Finding],
) -> str:
    """Writes the three files and returns the Markdown.

    Args:
        folder: Where the files go; it is made where it is missing.
        conditions: What the report says about how it was measured.
        places: The places that were judged.
        arms: The ways to decode that were compared.
        results: One run for each arm and place.
        findings: The answers to the report's questions.

    Raises:
        ConfigError: If the folder cannot be written to.
    """
    runs = Runs(results, BASELINE)
    columns = _COLUMNS if results[0].passed is None else (*_COLUMNS, "pass@1")
    rows = [dict(zip(columns, _row(runs, arm, places), strict=True)) for arm in runs.arms]
    text = _markdown(conditions, places, rows, findings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TABLE).write_text(text, encoding="utf-8")
        (folder / NUMBERS).write_text(_json(conditions, places, runs, rows, findings), encoding="utf-8")
        _plot(folder / PLOT, conditions, runs, arms)
    except OSError as error:
        raise ConfigError(f"The report cannot be written to {folder}: {error.strerror}.") from error
    return text


def _row(runs: Runs, arm: str, places: Sequence[Place]) -> list[str]:
    """One line of the table."""

    def mean(column: str) -> str:
        return f"{runs.mean(arm, column).value:.3f}"

    bleu = mean_code_bleu((run.text, places[run.place].reference, places[run.place].language) for run in runs.of(arm))
    kept = runs.mean(arm, "kept")
    tokens = runs.mean(arm, "tokens")
    is_oracle = arm in {ORACLE, ORACLE_OF_EXITS}  # finding the exits takes it longer than decoding would
    return [
        arm,
        runs.saved(arm, "decode_j").as_percent(),
        runs.saved(arm, "prompt_j").as_percent(),
        runs.saved(arm, "kept").as_percent(),
        runs.saved(arm, "kept_of_full").as_percent(),
        f"{kept.value:.1f}",
        f"{1e3 * runs.mean(arm, 'decode_j', per='kept').value:.1f}" if kept.value else "-",
        mean("exact_line"),
        mean("edit_similarity"),
        mean("rouge_l"),
        "-" if bleu is None else f"{bleu:.3f}",
        mean("identical"),
        f"{runs.mean(arm, 'agreed', per='tokens').value:.3f}",
        f"{tokens.value:.1f}",
        f"{runs.mean(arm, 'layers', per='tokens').value:.1f}",
        runs.saved(arm, "weight_bytes").as_percent(),
        "-" if is_oracle else runs.saved(arm, "decode_s").as_percent(),
        "-" if is_oracle else f"{100 * runs.saved(arm, 'cpu_s').value:.1f} %",
        *([] if runs.of(arm)[0].passed is None else [runs.mean(arm, "passed").as_percent()]),
    ]


def _markdown(
    conditions: Conditions, places: Sequence[Place], rows: Sequence[dict[str, str]], findings: Sequence[Finding]
) -> str:
    """The report for people: conditions, findings, and one row for each arm."""
    languages = ", ".join(
        f"{sum(place.language == name for place in places)} {name}" for name in sorted({p.language for p in places})
    )
    lines = [
        f"# {conditions.model}, {conditions.protocol} protocol, {date.today().isoformat()}",  # noqa: DTZ011 - the user's day
        "",
        (
            f"{len(places)} places ({languages}) in {conditions.source}, {conditions.seeds} seed(s), at most "
            f"{conditions.max_new_tokens} tokens. {conditions.device}. Exits: {conditions.exits}. "
            f"Energy is modelled ({conditions.cost_model}): decode energy is decoding, policy and verification, "
            "prompt energy is reading all of the prompt. Savings and losses are relative to "
            f"`{BASELINE}`, plain decoding through all {conditions.n_layers} layers with a KV cache; in brackets, 95 % "
            "intervals by paired bootstrap over places."
        ),
        *(f"\n{note}" for note in conditions.notes),
        "",
        "| " + " | ".join(rows[0]) + " |",
        "|---" * len(rows[0]) + "|",
        *("| " + " | ".join(row.values()) + " |" for row in rows),
        "",
        "| question | answer |",
        "|---|---|",
        *(f"| {finding.question} | {finding.answer} |" for finding in findings),
        "",
    ]
    return "\n".join(lines)


def _json(
    conditions: Conditions,
    places: Sequence[Place],
    runs: Runs,
    rows: Sequence[dict[str, str]],
    findings: Sequence[Finding],
) -> str:
    """Everything, the place's own text apart: it belongs to its package."""
    described = [
        {
            "language": p.language,
            "file": p.file,
            "kind": p.kind,
            "seed": p.seed,
            "prefix_chars": len(p.site.prompt.text),
        }
        for p in places
    ]
    return json.dumps(
        {
            "date": date.today().isoformat(),  # noqa: DTZ011 - the user's day
            "setting": asdict(conditions),
            "baseline": runs.baseline,
            "table": rows,
            "findings": [asdict(finding) for finding in findings],
            "places": described,
            "runs": [asdict(run) for arm in runs.arms for run in runs.of(arm)],
        },
        indent=1,
    )


def _plot(path: Path, conditions: Conditions, runs: Runs, arms: Sequence[Arm]) -> None:
    """Left, kept text over energy saved; right, energy for each kept character over the share of lines matched."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 5.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for group, colour in _COLOURS.items():
        for stops, marker in ((False, "o"), (True, "s")):
            of_group = [arm for arm in arms if arm.group == group and arm.stops == stops and arm.name in runs.arms]
            if not of_group:
                continue
            saved = [runs.saved(arm.name, "decode_j") for arm in of_group]
            lost = [runs.saved(arm.name, "kept") for arm in of_group]
            left.errorbar(
                [figure.value for figure in saved],
                [1 - figure.value for figure in lost],
                xerr=[[f.value - f.low for f in saved], [f.high - f.value for f in saved]],
                yerr=[[f.high - f.value for f in lost], [f.value - f.low for f in lost]],
                fmt=marker,
                color=colour,
                alpha=0.7,
                elinewidth=0.5,
                label=group + (" with STOP" if stops else ""),
            )
            right.plot(*_cost_and_match(runs, [arm.name for arm in of_group]), marker, color=colour, alpha=0.7)
    for name, marker in ((BASELINE, "*"), (ORIGINAL, "D"), (ORACLE, "X"), (ORACLE_OF_EXITS, "P")):
        if name in runs.arms:
            left.plot(
                runs.saved(name, "decode_j").value,
                1 - runs.saved(name, "kept").value,
                f"k{marker}",
                markersize=11,
                label=name,
            )
            right.plot(*_cost_and_match(runs, [name]), f"k{marker}", markersize=11)
    left.set(xlabel="decode energy saved against full depth", ylabel="kept text, share of full depth's")
    left.legend(fontsize=8)
    right.set(xlabel="decode energy for each kept character, mJ", ylabel="share of lines matched", xscale="log")
    figure.suptitle(f"{conditions.model}: {conditions.protocol} protocol, {runs.n_places} places")
    figure.savefig(path, dpi=120)


def _cost_and_match(runs: Runs, names: Sequence[str]) -> tuple[list[float], list[float]]:
    keeping = [name for name in names if runs.mean(name, "kept").value > 0]
    cost = [1e3 * runs.mean(name, "decode_j", per="kept").value for name in keeping]
    return cost, [runs.mean(name, "exact_line").value for name in keeping]
