"""`Ledger`: one row per completion in SQLite, kept over restarts and shared by all servers of the user.

Beside these it holds what it took to read projects, which is no completion's. No text of the user's code is in it; of
a project it holds a hash, keyed by what the file itself holds. Nothing that happens to it ever stops a session: rows
wait in memory and are tried again with the next one, and a row that SQLite can never take is dropped with a line in the
log. It knows no protocol but the record it fills. All of it runs on one thread: an insert takes 0.05 ms (measured on a
laptop-class CPU, WAL).
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import math
import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.sentences import Sentence
from engine.types import Phase, Provenance
from lsp_server.books.ledger_file import (
    BUSY_TIMEOUT_S,
    CLOSE_TIMEOUT_S,
    DamageError,
    LedgerFile,
    NewerLedgerError,
    connect,
    know_projects,
    migrate,
    transaction,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from engine.types import Completion

    _Values = Mapping[str, Any] | tuple[Any, ...]  # of a statement: by name, or in order

logger = logging.getLogger(__name__)

LEDGER_FILE = "ledger.sqlite3"  # in the user's data folder
UNKNOWN_DAY = "unknown"
_LAST_S = 253_402_127_999.0  # the last but one day of the year 9999: SQLite knows no later one, anywhere on earth
# What is wrong with a row itself, and would be with every later attempt: a number, a text or a record that SQLite
# cannot store.
_UNFIT = (
    *(OverflowError, ValueError, TypeError),
    *(sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError),
)

_ACCEPT = """
    UPDATE completion SET accepted_at = :accepted_at,
           accepted_chars = MIN(COALESCE(:accepted_chars, offered_chars), offered_chars)
    WHERE id = :id AND accepted_at IS NULL
"""
_TAKE = """
    UPDATE completion SET accepted_at = COALESCE(accepted_at, :accepted_at),
           accepted_chars = MIN(COALESCE(accepted_chars, 0) + COALESCE(:accepted_chars, offered_chars), offered_chars)
    WHERE id = :id
"""
_READ = """
    INSERT INTO reading (session_id, created_at, project, cpu_s, energy_j, provenance)
    VALUES (:session_id, :created_at, project_of(:project), :cpu_s, :energy_j, :provenance)
"""
_REUSE = "UPDATE completion SET reused = reused + 1, offered_chars = MAX(offered_chars, :offered_chars) WHERE id = :id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a completion was asked for.

    Attributes:
        language_id: The editor's language identifier; "" when unknown.
        folder: The path of the workspace folder that the document lies in; empty outside of all. Only its hash is kept.
        engine: What the engine is called, where windows share it; "" for one of the window's own.
    """

    language_id: str = ""
    folder: bytes = b""
    engine: str = ""


UNKNOWN_ORIGIN = Origin()


class Ledger:
    """The user's ledger file; it is opened by `open`, or when it is first needed.

    Attributes:
        warning: One sentence when the file is not as it should be; "" when all is well.
        is_behind: Whether the file could not be written at the last attempt, which may pass.
    """

    def __init__(self, path: Path) -> None:
        self.warning = ""
        self.is_behind = False
        self._file = LedgerFile(path)
        self._waiting: list[tuple[str, _Values]] = []  # statements not yet in the file

    def open(self) -> None:
        """Opens the file, so that a fault is known before the first row."""
        self._write_waiting()

    def add(self, session_id: str, completion_id: str, completion: Completion, origin: Origin = UNKNOWN_ORIGIN) -> None:
        """Writes one completion, and where it was asked for."""
        row = _row(session_id, completion_id, completion)
        row |= {"language": origin.language_id, "project": origin.folder, "engine": origin.engine}
        self._waiting.append((_insert(tuple(row)), tuple(row.values())))  # in order: SQLite looks no name up
        self._write_waiting()

    def add_reading(self, session_id: str, folder: bytes, *, cpu_s: float, energy_j: float) -> None:
        """Writes what it took, as modelled, to read the project of a folder, of which only the hash is kept."""
        row = {"session_id": session_id, "created_at": _now_s(), "project": folder}
        row |= {"cpu_s": cpu_s, "energy_j": energy_j, "provenance": Provenance.MODELLED.value}
        self._waiting.append((_READ, row))
        self._write_waiting()

    def reuse(self, completion_id: str, offered_chars: int) -> None:
        """Counts a later request that a completion answered, with so many of its characters."""
        self._waiting.append((_REUSE, {"id": completion_id, "offered_chars": offered_chars}))
        self._write_waiting()

    def accept(self, completion_id: str, accepted_chars: int | None = None) -> None:
        """Marks a completion as accepted, or what was left of it and no more; an unknown id changes nothing."""
        row = {"id": completion_id, "accepted_at": _now_s(), "accepted_chars": accepted_chars}
        self._waiting.append((_ACCEPT, row))
        self._write_waiting()

    def take(self, completion_id: str, chars: int | None) -> None:
        """Adds so many characters to those accepted of a completion; None for all of it."""
        self._waiting.append((_TAKE, {"id": completion_id, "accepted_at": _now_s(), "accepted_chars": chars}))
        self._write_waiting()

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    @property
    def written(self) -> sqlite3.Connection | None:
        """The file, where every row is in it; None where it cannot be had just now."""
        return None if self._waiting else self._file.open_database

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """What the ledger holds, for whoever sums it up; what waits alone where the file cannot be had."""
        self._write_waiting()
        if (database := self._file.open_database) is not None:
            yield database
            return
        with closing(connect(":memory:", BUSY_TIMEOUT_S)) as database:
            migrate(database)
            know_projects(database)
            _execute_all(database, self._waiting)
            yield database

    def clear(self) -> None:
        """Deletes every row, for good."""
        self._waiting.clear()
        self._waiting += [("DELETE FROM completion", {}), ("DELETE FROM reading", {})]
        self._write_waiting()

    def close(self) -> None:
        """Writes what waits, with more patience, and closes the file."""
        if (database := self._file.open_database) is not None:
            with contextlib.suppress(sqlite3.Error):
                database.execute(f"PRAGMA busy_timeout = {round(CLOSE_TIMEOUT_S * 1000)}")
        if self._waiting:
            self._write_waiting()
        self._file.close()

    def _write_waiting(self) -> None:
        try:
            try:
                self._try_write()
            except (DamageError, sqlite3.DatabaseError) as error:
                # Everything that may pass by itself (locked, full, read-only) is a subclass; this is damage.
                if type(error) not in {DamageError, sqlite3.DatabaseError}:
                    raise
                self._file.set_aside()
                self._try_write()
            self.warning = self._file.notice
            self.is_behind = False
        except (sqlite3.Error, OSError, DamageError, NewerLedgerError, UnicodeDecodeError) as error:
            self.warning = Sentence(
                "The energy ledger {path} cannot be written ({reason}); this session is kept in memory until it can.",
                path=self._file.path,
                reason=_reason(error),
            )
            self.is_behind = True

    def _try_write(self) -> None:
        _execute_all(self._file.database(), self._waiting)
        self._waiting.clear()


def _execute_all(database: sqlite3.Connection, statements: list[tuple[str, _Values]]) -> None:
    if len(statements) == 1:  # is a transaction by itself
        _execute(database, *statements[0])
    elif statements:
        with transaction(database):
            for sql, values in statements:
                _execute(database, sql, values)


def _execute(database: sqlite3.Connection, sql: str, values: _Values) -> None:
    try:
        database.execute(sql, values)
    except _UNFIT as error:  # it must not keep the others out
        logger.warning("A row of the energy ledger cannot be stored and is left out: %s", error)


def known(energy_j: float | None) -> float | None:
    """Joules as damage may have left them: no number but a finite one."""
    return energy_j if energy_j is not None and math.isfinite(energy_j) else None


def count(total: float) -> int:
    """A whole number of things from whatever SQLite has added up."""
    return max(0, int(total)) if math.isfinite(total) else 0


def provenance_of(name: str) -> Provenance:
    """How joules were had; a word that is none of ours, as damage may leave, says nothing."""
    try:
        return Provenance(name)
    except ValueError:
        return Provenance.NONE


def _now_s() -> float:
    """Seconds since 1970 by the clock on the wall, wherever that may stand."""
    return min(max(0.0, time.time()), _LAST_S)


@functools.cache
def _insert(columns: tuple[str, ...]) -> str:
    values = ", ".join("project_of(?)" if column == "project" else "?" for column in columns)
    return f"INSERT OR IGNORE INTO completion ({', '.join(columns)}) VALUES ({values})"  # noqa: S608 - names of ours


def _row(session_id: str, completion_id: str, completion: Completion) -> dict[str, Any]:
    """One completion as a row of the table."""
    by_phase = completion.energy.by_phase
    saved_low_j, saved_high_j = completion.saved_range_j or (None, None)
    return {
        "id": completion_id,
        "session_id": session_id,
        "created_at": _now_s(),
        "model": completion.model,
        "device": completion.device,
        "policy": completion.policy,
        "green_mode": completion.green_mode,
        "finish_reason": completion.finish_reason.value,
        "provenance": completion.energy.provenance.value,
        "source": completion.energy.source,
        "energy_j": completion.energy.energy_j,
        "prefill_j": by_phase.get(Phase.PREFILL),
        "decode_j": by_phase.get(Phase.DECODE),
        "policy_j": by_phase.get(Phase.POLICY),
        "verification_j": by_phase.get(Phase.VERIFICATION),
        "baseline_energy_j": completion.baseline_energy_j,
        "saved_low_j": saved_low_j,
        "saved_high_j": saved_high_j,
        # The first version of the file takes no NULL in these: 0 is not known there.
        "prompt_tokens": completion.prompt_tokens or 0,
        "reused_tokens": completion.reused_tokens or 0,
        "tokens": len(completion.tokens),
        "layers_total": completion.layers_total or 0,
        "mean_exit_layer": completion.mean_exit_layer,
        "exit_depths": json.dumps(
            Counter(token.exit_layer for token in completion.tokens if token.exit_layer is not None)
        ),
        "elapsed_s": completion.elapsed_s,
        "first_token_s": completion.first_token_s,
        "offered_chars": len(completion.text),
    }


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
