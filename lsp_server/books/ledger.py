"""`Ledger`: one row per completion in SQLite, kept over restarts and shared by all servers of the user.

No text of the user's code is in it. A database that cannot be written never stops a session: rows wait in memory
and are tried again with the next one; a corrupt file is moved aside under a clear name, never deleted. It knows no
protocol but the record it fills. All of it runs on one thread: an insert takes 0.05 ms (measured on a laptop-class
CPU, WAL).
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections import Counter
from contextlib import closing, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from engine.types import Phase, Provenance, combine_provenance
from lsp_server.protocol import DayEnergy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from engine.types import Completion

BUSY_TIMEOUT_S = 0.1  # another server's write takes a millisecond; the event loop must not wait long for it
CLOSE_TIMEOUT_S = 2.0

# Entry n brings a database from version n to n + 1 (PRAGMA user_version). Never edit one that was released.
MIGRATIONS = (
    """
    CREATE TABLE completion (
        id TEXT PRIMARY KEY,
        session_id TEXT NOT NULL,
        created_at REAL NOT NULL,  -- seconds since 1970, UTC
        model TEXT NOT NULL,
        device TEXT NOT NULL,
        policy TEXT NOT NULL,
        green_mode INTEGER NOT NULL,
        finish_reason TEXT NOT NULL,
        provenance TEXT NOT NULL,
        source TEXT NOT NULL,
        energy_j REAL,  -- NULL is unknown, here and below
        prefill_j REAL,
        decode_j REAL,
        policy_j REAL,
        verification_j REAL,
        baseline_energy_j REAL,
        prompt_tokens INTEGER NOT NULL,
        reused_tokens INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        layers_total INTEGER NOT NULL,
        mean_exit_layer REAL,
        exit_depths TEXT NOT NULL,  -- JSON: exit layer to number of tokens
        elapsed_s REAL NOT NULL,
        first_token_s REAL,
        offered_chars INTEGER NOT NULL,
        accepted_at REAL,
        accepted_chars INTEGER
    );
    CREATE INDEX completion_created_at ON completion (created_at);
    """,
    """
    ALTER TABLE completion ADD COLUMN reused INTEGER NOT NULL DEFAULT 0;  -- times it answered a later request, for 0 J
    """,
)

_ACCEPT = """
    UPDATE completion SET accepted_at = :accepted_at, accepted_chars = COALESCE(:accepted_chars, offered_chars)
    WHERE id = :id AND accepted_at IS NULL
"""
_REUSE = "UPDATE completion SET reused = reused + 1, offered_chars = MAX(offered_chars, :offered_chars) WHERE id = :id"
_HISTORY = """
    SELECT date(created_at, 'unixepoch', 'localtime') AS day, SUM(energy_j) AS energy_j,
           GROUP_CONCAT(DISTINCT provenance) AS provenances,
           SUM(CASE WHEN energy_j IS NOT NULL THEN baseline_energy_j END) AS baseline_energy_j,
           SUM(baseline_energy_j - energy_j) AS saved_j,  -- NULL where either is
           COUNT(*) AS requests, SUM(reused) AS reused, COUNT(accepted_at) AS accepted,
           COALESCE(SUM(accepted_chars), 0) AS accepted_chars
    FROM completion GROUP BY day ORDER BY day DESC LIMIT :days
"""


class Ledger:
    """The user's ledger file; it is opened by `open`, or when it is first needed.

    Attributes:
        warning: One sentence when the file is not as it should be; "" when all is well.
    """

    def __init__(self, path: Path) -> None:
        self.warning = ""
        self._path = path
        self._database: sqlite3.Connection | None = None
        self._moved_aside = ""
        self._waiting: list[tuple[str, Mapping[str, Any]]] = []  # statements not yet in the file

    def open(self) -> None:
        """Opens the file, so that a fault is known before the first row."""
        self._write_waiting()

    def add(self, session_id: str, completion_id: str, completion: Completion) -> None:
        """Writes one completion."""
        row = _row(session_id, completion_id, completion)
        columns = ", ".join(row)
        values = ", ".join(f":{column}" for column in row)
        insert = f"INSERT OR IGNORE INTO completion ({columns}) VALUES ({values})"  # noqa: S608 - names of ours
        self._waiting.append((insert, row))
        self._write_waiting()

    def reuse(self, completion_id: str, offered_chars: int) -> None:
        """Counts a later request that a completion answered, with so many of its characters."""
        self._waiting.append((_REUSE, {"id": completion_id, "offered_chars": offered_chars}))
        self._write_waiting()

    def accept(self, completion_id: str, accepted_chars: int | None = None) -> None:
        """Marks a completion, or what was left of it, as accepted; an unknown id changes nothing."""
        row = {"id": completion_id, "accepted_at": time.time(), "accepted_chars": accepted_chars}
        self._waiting.append((_ACCEPT, row))
        self._write_waiting()

    def history(self, days: int) -> list[DayEnergy]:
        """Sums up the newest `days` days that have rows, newest first."""
        self._write_waiting()
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):  # told by `warning` with the next write
                return _history(self._database, days)
        with closing(_connect(":memory:", BUSY_TIMEOUT_S)) as database:
            _migrate(database)
            _execute_all(database, self._waiting)
            return _history(database, days)

    def close(self) -> None:
        """Writes what waits, with more patience, and closes the file."""
        if self._database is not None:
            self._database.execute(f"PRAGMA busy_timeout = {round(CLOSE_TIMEOUT_S * 1000)}")
        if self._waiting:
            self._write_waiting()
        if self._database is not None:
            self._database.close()
            self._database = None

    def _write_waiting(self) -> None:
        try:
            try:
                self._try_write()
            except sqlite3.DatabaseError as error:
                # Everything that may pass by itself (locked, full, read-only) is a subclass; this is damage.
                if type(error) is not sqlite3.DatabaseError:
                    raise
                self._move_aside()
                self._try_write()
            self.warning = self._moved_aside
        except (sqlite3.Error, OSError, _NewerLedgerError) as error:
            self.warning = (
                f"The energy ledger {self._path} cannot be written ({_reason(error)}); "
                "this session is kept in memory until it can."
            )

    def _try_write(self) -> None:
        if self._database is None:
            self._database = self._open()
        _execute_all(self._database, self._waiting)
        self._waiting.clear()

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = _connect(str(self._path), BUSY_TIMEOUT_S)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            _check(database)
            _migrate(database)
        except BaseException:
            database.close()
            raise
        return database

    def _move_aside(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        # Two servers may find the same damage: the second one finds a sound file inside the lock.
        with FileLock(self._path.with_suffix(".lock"), timeout=CLOSE_TIMEOUT_S):
            try:
                self._database = self._open()
            except sqlite3.DatabaseError as error:
                if type(error) is not sqlite3.DatabaseError:
                    raise
                date = datetime.now().astimezone().strftime("%Y-%m-%dT%H%M%S")
                kept = self._path.with_name(f"{self._path.stem}.corrupt-{date}{self._path.suffix}")
                for end in ("", "-wal", "-shm"):
                    with contextlib.suppress(FileNotFoundError):
                        self._path.with_name(self._path.name + end).replace(kept.with_name(kept.name + end))
                self._moved_aside = f"The energy ledger was damaged; it is kept as {kept.name} and a new one was begun."


class _NewerLedgerError(Exception):
    """The file was written by a later version of Green Code."""


def _connect(path: str, timeout_s: float) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=timeout_s, isolation_level=None)
    database.row_factory = sqlite3.Row
    return database


def _check(database: sqlite3.Connection) -> None:
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)


def _migrate(database: sqlite3.Connection) -> None:
    if _version(database) == len(MIGRATIONS):
        return
    with _transaction(database):
        version = _version(database)  # again: another server may have been faster
        if version > len(MIGRATIONS):
            raise _NewerLedgerError("it was written by a newer version of Green Code")
        for script in MIGRATIONS[version:]:
            for statement in filter(str.strip, script.split(";\n")):
                database.execute(statement)
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite itself rolls back on some errors, such as a full disk
            database.execute("ROLLBACK")
        raise


def _execute_all(database: sqlite3.Connection, statements: list[tuple[str, Mapping[str, Any]]]) -> None:
    if statements:
        with _transaction(database):
            for sql, parameters in statements:
                database.execute(sql, parameters)


def _history(database: sqlite3.Connection, days: int) -> list[DayEnergy]:
    return [
        DayEnergy(
            day=row["day"],
            energy_j=row["energy_j"],
            provenance=combine_provenance(map(Provenance, row["provenances"].split(","))).value,
            baseline_energy_j=row["baseline_energy_j"],
            saved_j=row["saved_j"],
            requests=row["requests"],
            reused=row["reused"],
            accepted=row["accepted"],
            accepted_chars=row["accepted_chars"],
        )
        for row in database.execute(_HISTORY, {"days": days})
    ]


def _row(session_id: str, completion_id: str, completion: Completion) -> dict[str, Any]:
    """One completion as a row of the table."""
    by_phase = completion.energy.by_phase
    return {
        "id": completion_id,
        "session_id": session_id,
        "created_at": time.time(),
        "model": completion.model,
        "device": completion.device,
        "policy": completion.policy,
        "green_mode": completion.green_mode,
        "finish_reason": completion.finish_reason.value,
        "provenance": completion.energy.provenance.value,
        "source": completion.energy.source,
        "energy_j": completion.energy.energy_j,
        **{f"{phase.value}_j": by_phase.get(phase) for phase in Phase},
        "baseline_energy_j": completion.baseline_energy_j,
        "prompt_tokens": completion.prompt_tokens,
        "reused_tokens": completion.reused_tokens,
        "tokens": len(completion.tokens),
        "layers_total": completion.layers_total,
        "mean_exit_layer": completion.mean_exit_layer,
        "exit_depths": json.dumps(Counter(token.exit_layer for token in completion.tokens)),
        "elapsed_s": completion.elapsed_s,
        "first_token_s": completion.first_token_s,
        "offered_chars": len(completion.text),
    }


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
