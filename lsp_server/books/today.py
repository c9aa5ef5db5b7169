"""`Today`: what all servers of the user have spent since midnight, kept up with the ledger as it grows.

A look reads only the rows that came since the last one: what a row has cost never changes. It changes no row.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsp_server.books.ledger import known

if TYPE_CHECKING:
    from lsp_server.books.ledger import Ledger

_SUMS = """
    SELECT session_id, SUM(energy_j) AS energy_j FROM completion
    WHERE rowid > ? AND rowid <= ? AND created_at >= ? GROUP BY 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentToday:
    """What was spent; unknown is None.

    Attributes:
        energy_j: Active energy of all requests.
        sessions: How many sessions they are of.
    """

    energy_j: float | None = None
    sessions: int | None = None


def midnight_s(day: tuple[int, int, int]) -> float:
    """When a day began, local time, be it one on which the clock is changed; in seconds since 1970."""
    return time.mktime((*day, 0, 0, 0, 0, 0, -1))


class Today:
    """The sum since midnight, local time. Nothing is known before the first look."""

    def __init__(self) -> None:
        self._day = (0, 0, 0)
        self._midnight_s = 0.0
        self._last_row = 0
        self._energy_j: float | None = None
        self._sessions: set[str] = set()

    def look(self, ledger: Ledger) -> SpentToday:
        """The sum with the newest rows in it; nothing is known where the ledger's file cannot be had."""
        try:
            if (database := ledger.written) is not None:
                self._read(database)
                return SpentToday(energy_j=self._energy_j, sessions=len(self._sessions))
        except sqlite3.Error:  # the next row that is written tells what is wrong
            pass
        return SpentToday()

    def _read(self, database: sqlite3.Connection) -> None:
        day = time.localtime()[:3]
        (newest,) = database.execute("SELECT COALESCE(MAX(rowid), 0) FROM completion").fetchone()
        if day != self._day or newest < self._last_row:  # another day, or somebody emptied the ledger
            self._begin(day)
        if newest == self._last_row:
            return
        for row in database.execute(_SUMS, (self._last_row, newest, self._midnight_s)):
            self._sessions.add(row["session_id"])
            if (energy_j := known(row["energy_j"])) is not None:
                self._energy_j = energy_j + (self._energy_j or 0.0)
        self._last_row = newest

    def _begin(self, day: tuple[int, int, int]) -> None:
        self._day, self._midnight_s = day, midnight_s(day)
        self._last_row = 0
        self._energy_j = None
        self._sessions = set()
