"""What a ledger's file holds, read beside it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from lsp_server.books.ledger import Ledger
from lsp_server.books.reports import Sums, sums_by


def rows(path: Path) -> list[sqlite3.Row]:
    """All rows, by id."""
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return database.execute("SELECT * FROM completion ORDER BY id").fetchall()


def days(ledger: Ledger) -> dict[str, Sums]:
    """What a ledger says of each day, the oldest first."""
    with ledger.reading() as database:
        return sums_by(database, "day")
