"""A report of the ledger as a table for people, as rows and as a record for programs. It computes nothing."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from rich.table import Table

from engine.intervals import percent
from lsp_server.books.reports import Sums
from lsp_server.cli.render import BASELINE_WORDS, UNKNOWN, between, joules, two_digits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

    from engine.energy.calibration import RestPower
    from engine.energy.carbon import CarbonIntensity
    from lsp_server.books.reading import ProjectsRead
    from lsp_server.books.reports import Report

NO_COMPLETION = "There is no completion in the ledger for this time."
RESTING_HEAD = ("time", "metered parts", "of it for the model")
READING_HEAD = ("CPU time", "energy", "")
COLUMNS = ("by", "key", *(each.name for each in fields(Sums)), "carbon_g")
"""Of the CSV."""

_WIDE = 110  # columns that any table has room in; a narrower terminal breaks its lines, and no figure is cut


def as_rows(report: Report, carbon: CarbonIntensity | None, rest: RestPower | None = None) -> list[dict[str, Any]]:
    """One row for each group's each key, the total first; for CSV.

    What is no request's has rows of its own: the rest of each hour, and reading projects, whose time is CPU time.
    """
    total = [] if report.total is None else [("all", "", report.total)]
    keyed = [(by, key, sums) for by, groups in report.by.items() for key, sums in groups.items()]
    rows = [{"by": by, "key": key, **figures(sums, carbon)} for by, key, sums in total + keyed]
    unknown = dict.fromkeys(COLUMNS)
    for hour, resting in resting_record(report, rest, "hour").items():
        told = {"elapsed_s": resting["seconds"], "energy_j": resting["energy_j"]}
        rows.append({**unknown, "by": "rest", "key": hour, **told})
    for by, readings in report.reading.items():
        for key, reading in readings.items():
            row = {**unknown, "by": f"reading by {by}", "key": key, "provenance": reading.provenance}
            rows.append({**row, "elapsed_s": reading.cpu_s, "energy_j": reading.energy_j})
    return rows


def resting_record(report: Report, rest: RestPower | None, by: str) -> dict[str, dict[str, float | None]]:
    """What a loaded model took between requests, by "hour" or by "session"; joules that nobody can tell are None.

    They are those of the metered parts, whatever else kept them busy; `of_model_j` is what is more than before it was
    loaded. Of an engine that windows share each has its share.
    """
    of_model_w = None if rest is None else rest.of_model_w
    return {
        key: {
            "seconds": seconds,
            "energy_j": None if rest is None else seconds * rest.loaded_w,
            "of_model_j": None if of_model_w is None else seconds * of_model_w,
        }
        for key, seconds in report.resting_s.get(by, {}).items()
    }


def as_record(report: Report, carbon: CarbonIntensity | None, rest: RestPower | None = None) -> dict[str, Any]:
    """The whole report for JSON; unknown is null."""
    return {
        "total": None if report.total is None else figures(report.total, carbon),
        "by": {by: {key: figures(sums, carbon) for key, sums in groups.items()} for by, groups in report.by.items()},
        "at_rest": resting_record(report, rest, "hour"),
        "at_rest_by_session": resting_record(report, rest, "session"),
        "reading": None if report.reading_total is None else asdict(report.reading_total),
        "reading_by": {
            by: {key: asdict(reading) for key, reading in readings.items()} for by, readings in report.reading.items()
        },
        "sources": report.sources,
        "this_project": report.here,
        "baseline": BASELINE_WORDS,
        "carbon": None if carbon is None else {"g_per_kwh": carbon.g_per_kwh, "source": carbon.source},
    }


def figures(sums: Sums, carbon: CarbonIntensity | None) -> dict[str, Any]:
    """All sums by name, with grams of CO2 equivalents where an intensity is given."""
    carbon_g = None if carbon is None or sums.energy_j is None else carbon.grams(sums.energy_j)
    return {**asdict(sums), "carbon_g": carbon_g}


def show_report(
    console: Console, report: Report, by: str, carbon: CarbonIntensity | None, rest: RestPower | None = None
) -> None:
    """A table by one group, the sum, and how its figures were had."""
    console.width = max(console.width, _WIDE)
    if report.total is None:
        console.print(NO_COMPLETION)
    else:
        table = _table(by, [name.replace(" ", "\n") for name, *_ in cells(report.total, carbon)])
        for key, sums in report.by[by].items():
            table.add_row(name_of(by, key, report.here), *_with_notes(cells(sums, carbon)))
        table.add_section()
        table.add_row("in all", *_with_notes(cells(report.total, carbon)))
        console.print(table)
    if report.resting_s.get(by):
        table = _table("at rest", RESTING_HEAD)
        for key, resting in resting_record(report, rest, by).items():
            table.add_row(name_of(by, key, report.here), *resting_cells(resting))
        console.print(table)
    if by in report.reading:
        table = _table("reading projects", READING_HEAD)
        for key, reading in report.reading[by].items():
            table.add_row(name_of(by, key, report.here), *reading_cells(reading))
        console.print(table)
    for sentence in sentences(report, carbon, rest):
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)


def cells(sums: Sums, carbon: CarbonIntensity | None) -> list[tuple[str, str, str]]:
    """The figures that a table shows: each one's column, itself, and what is to be known of it, which may be ""."""
    grams = figures(sums, carbon)["carbon_g"]
    shown = [
        ("energy", joules(sums.energy_j), sums.provenance),
        ("saved", joules(sums.saved_j), between(sums.saved_low_j, sums.saved_high_j)),
        ("not kept", joules(sums.wasted_j), ""),
        ("requests", str(sums.requests), ""),
        ("accepted", str(sums.accepted), ""),
        ("kept characters", str(sums.kept_chars), ""),
        ("characters a joule", UNKNOWN if sums.kept_chars_per_j is None else f"{sums.kept_chars_per_j:.2f}", ""),
    ]
    return shown if carbon is None else [*shown, ("CO2", UNKNOWN if grams is None else _grams(grams), "")]


def _grams(grams: float) -> str:
    """Grams with the two digits that are known of them, in micrograms and milligrams where they are few."""
    unit, scale = next((each for each in (("µg", 1e-6), ("mg", 1e-3)) if grams < 999.5 * each[1]), ("g", 1.0))
    return f"{two_digits(grams / scale)} {unit}"


def _with_notes(cells: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """Each figure over its note: side by side they would not fit into a terminal."""
    return (f"{text}\n{note}".rstrip() for _, text, note in cells)


def resting_cells(resting: dict[str, float | None]) -> list[str]:
    """The figures of one hour or session at rest; their names are `RESTING_HEAD`'s."""
    return [f"{(resting['seconds'] or 0.0) / 60:.1f} min", joules(resting["energy_j"]), joules(resting["of_model_j"])]


def reading_cells(reading: ProjectsRead) -> list[str]:
    """The figures of one hour, day, session or project that was read; their names are `READING_HEAD`'s."""
    return [f"{reading.cpu_s:.1f} s", joules(reading.energy_j), reading.provenance]


def sentences(report: Report, carbon: CarbonIntensity | None, rest: RestPower | None = None) -> list[str]:
    """What the figures are, one sentence each."""
    said = [] if report.total is None else _of_requests(report, report.total)
    if report.resting_s.get("hour"):
        said.append(_at_rest(report, rest))
    if report.reading_total is not None:
        said.append(_reading(report.reading_total))
    if report.total is None:
        return said
    if carbon is not None:
        said.append(f"CO2 equivalents at {carbon.g_per_kwh:.0f} g per kWh: {carbon.source}.")
    else:
        said.append("Name your country for grams of CO2, such as --country FRA; your location is never looked up.")
    return said


def _of_requests(report: Report, total: Sums) -> list[str]:
    phases = {
        "prefill": total.prefill_j,
        "decode": total.decode_j,
        "policy": total.policy_j,
        "verification": total.verification_j,
    }
    said = [f"Joules were {source}." for source in report.sources]
    said += [f"By phase (modelled): {', '.join(f'{phase} {joules(phase_j)}' for phase, phase_j in phases.items())}."]
    if total.saved_j is not None and total.baseline_energy_j:
        share = total.saved_j / total.baseline_energy_j
        of_all = f"{percent(share, form='.0f')} of {joules(total.baseline_energy_j)}"
        told = f"Saved is against {BASELINE_WORDS} (modelled): {of_all}"
        ends = between(total.saved_low_j, total.saved_high_j)
        said.append(f"{told}; {ends} is possible." if ends else f"{told}.")
    return said


def _reading(reading: ProjectsRead) -> str:
    told = f"Beside that, reading projects took {reading.cpu_s:.1f} s of CPU time: {joules(reading.energy_j)}"
    power_w = (reading.energy_j or 0.0) / reading.cpu_s if reading.cpu_s else 0.0
    return f"{told} ({reading.provenance}), {power_w:.1f} W of a busy core."


def _table(title: str, head: Iterable[str]) -> Table:
    table = Table(title, *head, box=None, pad_edge=False, collapse_padding=True)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _at_rest(report: Report, rest: RestPower | None) -> str:
    seconds = sum(report.resting_s["hour"].values())
    said = (
        f"Beside that, a loaded model rested between requests for {_duration(seconds)}, "
        f"at most {report.rest_after_s / 60:.0f} min at a time (--rest-after)"
    )
    if rest is None:
        return f"{said}; what that took is not known, for `green-code calibrate` has measured no power at rest."
    told = f"{said}: {joules(seconds * rest.loaded_w)} at {rest.loaded_w:.1f} W of all metered parts, as calibrated"
    if rest.unloaded_w is None:
        return f"{told}; how much of it without the model was not measured."
    return f"{told}, {joules(seconds * (rest.loaded_w - rest.unloaded_w))} of it more than without the model."


def _duration(seconds: float) -> str:
    unit, scale = next((each for each in (("s", 1.0), ("min", 60.0)) if seconds < 60 * each[1]), ("h", 3600.0))
    return f"{seconds / scale:.1f} {unit}"


def name_of(by: str, key: str, here: str) -> str:
    """What a key is called before people."""
    if by == "session":
        return key[:8]
    if by == "project" and key and key == here:
        return f"{key} (this folder)"
    return key or ("no folder" if by == "project" else "unknown")
