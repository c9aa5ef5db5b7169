"""`open_to_read`: a ledger for whoever sums it up, whosever file it is. Nothing is written, moved or made private."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from engine.errors import ConfigError
from lsp_server.books.ledger_file import (
    CLOSE_TIMEOUT_S,
    MIGRATIONS,
    DamageError,
    NewerLedgerError,
    check,
    connect,
    migrate,
    version_of,
)

if TYPE_CHECKING:
    from pathlib import Path, PurePath


def open_to_read(path: Path) -> closing[sqlite3.Connection]:
    """The ledger as this version knows it: one of an older version is read from a copy in memory.

    Raises:
        ConfigError: There is none, or it cannot be read.
    """
    if not path.exists():
        raise ConfigError(f"There is no energy ledger yet: {path} is written with the first completion in an editor.")
    if not path.is_file():
        raise ConfigError(f"{path} is no file, so it is no energy ledger.")
    # Where nobody has it open, all of it is in one file; a reader who were not told would leave two more beside it, and
    # could not read in a folder where it may not.
    options = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"
    database = connect(f"{_as_uri(path.absolute())}?{options}", CLOSE_TIMEOUT_S, uri=True)
    try:
        check(database, thorough=False)
        if version_of(database) != len(MIGRATIONS):
            database = _migrated_copy(database)
    except (sqlite3.Error, DamageError, NewerLedgerError, UnicodeDecodeError) as error:
        database.close()
        raise ConfigError(f"{path} cannot be read as an energy ledger: {error}.") from error
    return closing(database)


def _migrated_copy(database: sqlite3.Connection) -> sqlite3.Connection:
    copy = connect(":memory:", CLOSE_TIMEOUT_S)
    with closing(database):
        database.backup(copy)
    migrate(copy)
    return copy


def _as_uri(path: PurePath) -> str:
    """As SQLite reads it: the name of a machine, as in Windows' paths to its shares, is part of the path."""
    return re.sub(r"^file://(?=[^/])", "file:////", path.as_uri())
