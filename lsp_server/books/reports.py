"""What the ledger says of a span of time: sums by hour, day, session, project and language. It changes no row.

Unknown joules are in no sum; what was saved, and what was kept for a joule, are of requests whose figures are known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.types import combine_provenance
from lsp_server.books.ledger import UNKNOWN_DAY, count, known, provenance_of
from lsp_server.books.ledger_file import know_projects
from lsp_server.books.ledger_reader import open_to_read
from lsp_server.books.reading import ProjectsRead, reading_by, reading_total
from lsp_server.books.resting import resting

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

GROUPS: Mapping[str, str] = {
    "hour": "strftime('%Y-%m-%d %H:00', created_at, 'unixepoch', 'localtime')",
    "day": "date(created_at, 'unixepoch', 'localtime')",
    "session": "session_id",
    "project": "project",
    "language": "language",
}
"""How rows may be summed up, and the SQL that says what each belongs to."""

READING_GROUPS = ("hour", "day", "session", "project")
"""Those by which the reading of projects is told; of a folder, all languages are read together."""

_SUMS = """
    SELECT {key} AS key, SUM(energy_j) AS energy_j, {provenances} AS provenances,
           SUM(prefill_j) AS prefill_j, SUM(decode_j) AS decode_j, SUM(policy_j) AS policy_j,
           SUM(verification_j) AS verification_j,
           SUM(energy_j * (accepted_at IS NULL)) AS wasted_j,
           SUM(CASE WHEN energy_j IS NOT NULL THEN baseline_energy_j END) AS baseline_energy_j,
           SUM(baseline_energy_j - energy_j) AS saved_j,
           COUNT(saved_low_j) = COUNT(baseline_energy_j - energy_j) AS is_range_known,
           SUM(saved_low_j) AS saved_low_j, SUM(saved_high_j) AS saved_high_j,
           COUNT(*) AS requests, TOTAL(finish_reason = 'cancelled') AS cancelled, TOTAL(reused) AS reused,
           COUNT(accepted_at) AS accepted, TOTAL(offered_chars) AS offered_chars, TOTAL(accepted_chars) AS kept_chars,
           TOTAL(CASE WHEN energy_j IS NOT NULL THEN accepted_chars END) AS known_kept_chars,
           TOTAL(elapsed_s) AS elapsed_s
    FROM completion WHERE created_at >= :since GROUP BY 1 ORDER BY MIN(created_at)
"""

# Of the joules in the sum; of requests that took none only where no other is known.
_PROVENANCES = """COALESCE(
    GROUP_CONCAT(DISTINCT CASE WHEN energy_j <> 0 THEN provenance END),
    GROUP_CONCAT(DISTINCT CASE WHEN energy_j = 0 THEN provenance END),
    'none'
)"""

_SOURCES = """
    SELECT provenance || ': ' || source AS source FROM completion
    WHERE created_at >= :since AND energy_j <> 0 GROUP BY 1 ORDER BY COUNT(*) DESC
"""


_MODELS = "SELECT DISTINCT model FROM completion WHERE created_at >= :since ORDER BY 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Sums over requests; unknown is None.

    Attributes:
        energy_j: What they cost.
        provenance: How these joules were had.
        wasted_j: The part of `energy_j` that went into text nobody accepted.
        baseline_energy_j: The same requests at full depth with a KV cache, modelled.
        saved_j: Baseline less cost, of requests for which both are known.
        saved_low_j: From how many joules the truth about that is likely to lie; None where one of these requests is of
            a release that did not say. What is wrong is wrong in the same way each time, so ends are added; a request
            that took more than its baseline makes the range a little wider than need be.
        saved_high_j: To how many.
        kept_chars: Characters accepted.
        kept_chars_per_j: The same for each joule, where joules are known.
    """

    energy_j: float | None
    provenance: str
    prefill_j: float | None
    decode_j: float | None
    policy_j: float | None
    verification_j: float | None
    wasted_j: float | None
    baseline_energy_j: float | None
    saved_j: float | None
    saved_low_j: float | None
    saved_high_j: float | None
    requests: int
    cancelled: int
    reused: int
    accepted: int
    offered_chars: int
    kept_chars: int
    kept_chars_per_j: float | None
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The ledger since a point in time.

    Attributes:
        total: Everything; None where there are no rows.
        by: For each of `GROUPS`, the sums by key, in the order of their first request.
        sources: How its joules were had, as the ledger says it, such as "measured: RAPL counter, package-0".
        here: The key of the project that a folder is; "" where none was asked for.
        resting_s: Seconds that a loaded model rested between requests, by "hour" and by "session"; where windows share
            an engine, each has its share.
        rest_after_s: No longer than so many seconds at a time.
        models: The models that answered.
        reading_total: What it took to read projects, beside all that; None where none was read.
        reading: The same by hour, day, session and project.
    """

    total: Sums | None
    by: Mapping[str, Mapping[str, Sums]]
    sources: tuple[str, ...] = ()
    here: str = ""
    resting_s: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    rest_after_s: float = 0.0
    models: tuple[str, ...] = ()
    reading_total: ProjectsRead | None = None
    reading: Mapping[str, Mapping[str, ProjectsRead]] = field(default_factory=dict)


def read_report(
    path: Path, since: datetime | None = None, folder: Path | None = None, *, rest_after_s: float = 0.0
) -> Report:
    """Sums up the ledger.

    Args:
        path: Its file, which stays as it is.
        since: The first moment that counts; None for all.
        folder: The folder whose project `Report.here` names.
        rest_after_s: After how many seconds without use a model is given back.

    Raises:
        ConfigError: There is no ledger, or it cannot be read.
    """
    start_s = since.timestamp() if since else 0.0
    with open_to_read(path) as database:
        told = database.execute(_SOURCES, {"since": start_s})
        return Report(
            sources=tuple(row["source"] for row in told),
            total=sums_by(database, "", start_s).get(""),
            by={name: sums_by(database, name, start_s) for name in GROUPS},
            here="" if folder is None else _project_of(database, folder),
            resting_s=resting(database, start_s, most_s=rest_after_s),
            rest_after_s=rest_after_s,
            models=models_since(database, start_s),
            reading_total=reading_total(database, start_s),
            reading={name: found for name in READING_GROUPS if (found := reading_by(database, GROUPS[name], start_s))},
        )


def models_since(database: sqlite3.Connection, start_s: float) -> tuple[str, ...]:
    """The models that have answered since then, in seconds since 1970."""
    return tuple(row["model"] for row in database.execute(_MODELS, {"since": start_s}))


def request_sizes(path: Path) -> list[tuple[int, int]]:
    """Tokens of prompt and answer of each request that said something.

    Raises:
        ConfigError: There is no ledger, or it cannot be read.
    """
    with open_to_read(path) as database:
        found = database.execute("SELECT prompt_tokens, tokens FROM completion WHERE tokens > 0 AND prompt_tokens > 0")
        return [(row["prompt_tokens"], row["tokens"]) for row in found]


def sums_by(database: sqlite3.Connection, group: str, start_s: float = 0.0) -> dict[str, Sums]:
    """The sums by key, in the order of their first request.

    Args:
        database: The ledger's.
        group: One of `GROUPS`, or "" for one sum of all, by the key "".
        start_s: The first moment that counts, in seconds since 1970.
    """
    found = database.execute(
        _SUMS.format(key=GROUPS[group] if group else "''", provenances=_PROVENANCES), {"since": start_s}
    )
    return {UNKNOWN_DAY if row["key"] is None else row["key"]: _sums(row) for row in found}


def _project_of(database: sqlite3.Connection, folder: Path) -> str:
    know_projects(database)
    (project,) = database.execute("SELECT project_of(?)", (bytes(folder),)).fetchone()
    return str(project)


def _sums(row: sqlite3.Row) -> Sums:
    energy_j = known(row["energy_j"])
    return Sums(
        energy_j=energy_j,
        provenance=combine_provenance(map(provenance_of, row["provenances"].split(","))).value,
        prefill_j=known(row["prefill_j"]),
        decode_j=known(row["decode_j"]),
        policy_j=known(row["policy_j"]),
        verification_j=known(row["verification_j"]),
        wasted_j=known(row["wasted_j"]),
        baseline_energy_j=known(row["baseline_energy_j"]),
        saved_j=known(row["saved_j"]),
        saved_low_j=known(row["saved_low_j"]) if row["is_range_known"] else None,
        saved_high_j=known(row["saved_high_j"]) if row["is_range_known"] else None,
        requests=row["requests"],
        cancelled=count(row["cancelled"]),
        reused=count(row["reused"]),
        accepted=row["accepted"],
        offered_chars=count(row["offered_chars"]),
        kept_chars=count(row["kept_chars"]),
        kept_chars_per_j=count(row["known_kept_chars"]) / energy_j if energy_j else None,
        elapsed_s=known(row["elapsed_s"]) or 0.0,
    )
