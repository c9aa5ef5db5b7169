"""What a ledger's file holds, read beside it."""

import sqlite3
from contextlib import closing
from pathlib import Path


def rows(path: Path) -> list[sqlite3.Row]:
    """All rows, by id."""
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return database.execute("SELECT * FROM completion ORDER BY id").fetchall()
