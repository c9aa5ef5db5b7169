"""`Today`: what all servers of the user have spent since midnight, kept up with the ledger as it grows.

A look reads only the rows that came since the last one: what a row has cost never changes. The newest row that was read
is read again, and tells whether the ledger has been emptied. It changes no row.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsp_server.books.ledger import known

if TYPE_CHECKING:
    from lsp_server.books.ledger import Ledger

_DAY = """
    SELECT MAX(rowid) AS row, id, session_id, SUM(energy_j) AS energy_j, TRUE AS is_today FROM completion
    WHERE created_at >= :midnight_s GROUP BY session_id ORDER BY row
"""
_SINCE = """
    SELECT rowid AS row, id, session_id, CAST(energy_j AS REAL) AS energy_j, created_at >= :midnight_s AS is_today
    FROM completion WHERE rowid >= :row ORDER BY row
"""
_NO_ROW = 1 << 62  # there is none from it on


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
        self._last_row, self._last_id = _NO_ROW, ""
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
        asked = {"midnight_s": self._midnight_s, "row": self._last_row}
        rows = database.execute(_SINCE, asked).fetchall() if day == self._day else []
        if rows and rows[0]["id"] == self._last_id:
            del rows[0]
        else:  # another day, or somebody emptied the ledger
            self._begin(day)
            rows = database.execute(_DAY, {"midnight_s": self._midnight_s}).fetchall()
        for self._last_row, self._last_id, session_id, energy_j, is_today in rows:
            if is_today:  # a row of yesterday may have waited for the file
                self._sessions.add(session_id)
                if (energy_j := known(energy_j)) is not None:
                    self._energy_j = energy_j + (self._energy_j or 0.0)

    def _begin(self, day: tuple[int, int, int]) -> None:
        self._day, self._midnight_s = day, midnight_s(day)
        self._last_row, self._last_id = _NO_ROW, ""
        self._energy_j = None
        self._sessions = set()
