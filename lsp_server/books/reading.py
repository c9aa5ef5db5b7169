"""What it took to read projects, from the ledger's own rows for it. It is no request's, and in no sum of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.types import combine_provenance
from lsp_server.books.ledger import UNKNOWN_DAY, known, provenance_of

if TYPE_CHECKING:
    import sqlite3

_READ = """
    SELECT {key} AS key, TOTAL(cpu_s) AS cpu_s, SUM(energy_j) AS energy_j,
           GROUP_CONCAT(DISTINCT provenance) AS provenances
    FROM reading WHERE created_at >= :since GROUP BY 1 ORDER BY MIN(created_at)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectsRead:
    """What it took to read projects.

    Attributes:
        cpu_s: CPU time.
        energy_j: What that cost; None where damage has left no number.
        provenance: How these joules were had.
    """

    cpu_s: float
    energy_j: float | None
    provenance: str


def reading_by(database: sqlite3.Connection, key: str, start_s: float) -> dict[str, ProjectsRead]:
    """Sums by key, in the order of time.

    Args:
        database: The ledger's.
        key: SQL that says what a row belongs to.
        start_s: The first moment that counts, in seconds since 1970.
    """
    found = database.execute(_READ.format(key=key), {"since": start_s})
    return {UNKNOWN_DAY if row["key"] is None else row["key"]: _reading(row) for row in found}


def reading_total(database: sqlite3.Connection, start_s: float) -> ProjectsRead | None:
    """The sum over all; None where no project was read since `start_s`."""
    return reading_by(database, "''", start_s).get("")


def _reading(row: sqlite3.Row) -> ProjectsRead:
    return ProjectsRead(
        cpu_s=known(row["cpu_s"]) or 0.0,
        energy_j=known(row["energy_j"]),
        provenance=combine_provenance(map(provenance_of, row["provenances"].split(","))).value,
    )
