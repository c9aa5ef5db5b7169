"""A report of the ledger as a table for people, as rows and as a record for programs. It computes nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from engine.energy.calibration import RestPower
    from engine.energy.carbon import CarbonIntensity
    from lsp_server.books.reports import Report, Sums

BASELINE_WORDS = "full depth with KV cache"
UNKNOWN = "-"
RESTING_HEAD = ("time", "metered parts", "of it for the model")


def as_rows(report: Report, carbon: CarbonIntensity | None, rest: RestPower | None = None) -> list[dict[str, Any]]:
    """One row for each group's each key, the total first, and the rest of each hour; for CSV."""
    total = [] if report.total is None else [("all", "", report.total)]
    keyed = [(by, key, sums) for by, groups in report.by.items() for key, sums in groups.items()]
    rows = [{"by": by, "key": key, **figures(sums, carbon)} for by, key, sums in total + keyed]
    if not rows:
        return []
    unknown = dict.fromkeys(rows[0])
    for hour, resting in resting_record(report, rest, "hour").items():
        told = {"elapsed_s": resting["seconds"], "energy_j": resting["energy_j"]}
        rows.append({**unknown, "by": "rest", "key": hour, **told})
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
    if report.total is None:
        console.print("There is no completion in the ledger for this time.")
        return
    table = Table(by, *(name for name, _ in cells(report.total, carbon)), box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for key, sums in report.by[by].items():
        table.add_row(name_of(by, key, report.here), *(text for _, text in cells(sums, carbon)))
    table.add_section()
    table.add_row("in all", *(text for _, text in cells(report.total, carbon)))
    console.print(table)
    if report.resting_s.get(by):
        console.print(_resting_table(report, rest, by))
    for sentence in sentences(report, report.total, carbon, rest):
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)


def cells(sums: Sums, carbon: CarbonIntensity | None) -> list[tuple[str, str]]:
    """The figures that a table shows, each with its column's name."""
    grams = figures(sums, carbon)["carbon_g"]
    shown = [
        ("energy", joules(sums.energy_j)),
        ("", sums.provenance),
        ("saved", joules(sums.saved_j)),
        ("for nothing", joules(sums.wasted_j)),
        ("requests", str(sums.requests)),
        ("accepted", str(sums.accepted)),
        ("kept characters", str(sums.kept_chars)),
        ("a joule", UNKNOWN if sums.kept_chars_per_j is None else f"{sums.kept_chars_per_j:.2f}"),
    ]
    return shown if carbon is None else [*shown, ("CO2", UNKNOWN if grams is None else f"{grams:.3g} g")]


def resting_cells(resting: dict[str, float | None]) -> list[str]:
    """The figures of one hour or session at rest; their names are `RESTING_HEAD`'s."""
    return [f"{(resting['seconds'] or 0.0) / 60:.1f} min", joules(resting["energy_j"]), joules(resting["of_model_j"])]


def sentences(report: Report, total: Sums, carbon: CarbonIntensity | None, rest: RestPower | None = None) -> list[str]:
    """What the figures are, one sentence each."""
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
        said.append(f"Saved is against {BASELINE_WORDS} (modelled): {share:.0%} of {joules(total.baseline_energy_j)}.")
    if report.resting_s.get("hour"):
        said.append(_at_rest(report, rest))
    if carbon is not None:
        said.append(f"CO2 equivalents at {carbon.g_per_kwh:.0f} g per kWh: {carbon.source}.")
    else:
        said.append("Name your country for grams of CO2, such as --country FRA; nobody is looked up by address.")
    return said


def _resting_table(report: Report, rest: RestPower | None, by: str) -> Table:
    table = Table("at rest", *RESTING_HEAD, box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for key, resting in resting_record(report, rest, by).items():
        table.add_row(name_of(by, key, report.here), *resting_cells(resting))
    return table


def _at_rest(report: Report, rest: RestPower | None) -> str:
    seconds = sum(report.resting_s["hour"].values())
    said = f"Beside that, a loaded model rested between requests for {seconds / 3600:.2f} h"
    if rest is None:
        return f"{said}; what that took is not known, for `green-code calibrate` has measured no power at rest."
    told = f"{said}: {joules(seconds * rest.loaded_w)} at {rest.loaded_w:.1f} W of all metered parts, as calibrated"
    if rest.unloaded_w is None:
        return f"{told}; how much of it without the model was not measured."
    return f"{told}, {joules(seconds * (rest.loaded_w - rest.unloaded_w))} of it more than without the model."


def name_of(by: str, key: str, here: str) -> str:
    """What a key is called before people."""
    if by == "session":
        return key[:8]
    if by == "project" and key and key == here:
        return f"{key} (this folder)"
    return key or ("no folder" if by == "project" else "unknown")


def joules(energy_j: float | None) -> str:
    """Joules for people; a dash where they are not known."""
    if energy_j is None:
        return UNKNOWN
    return f"{energy_j / 1000:.2f} kJ" if abs(energy_j) >= 1000 else f"{energy_j:.3g} J"  # noqa: PLR2004
