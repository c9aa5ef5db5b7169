"""How long models have rested, loaded, between the requests of a session: by hour, from the ledger's rows alone.

A model is given back after a while without use, so longer gaps count up to that. What follows a session's last request
is not counted: nobody knows when its editor was closed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

HOUR_FORMAT = "%Y-%m-%d %H:00"
"""How the ledger's sums name an hour of local time."""

_ROWS = """
    SELECT session_id, created_at - COALESCE(elapsed_s, 0) AS begun_at, created_at AS ended_at FROM completion
    WHERE created_at >= :since ORDER BY session_id, created_at
"""


def resting_by_hour(database: sqlite3.Connection, start_s: float, *, most_s: float) -> dict[str, float]:
    """Seconds at rest by hour.

    Args:
        database: The ledger's.
        start_s: The first moment that counts, in seconds since 1970.
        most_s: After how many seconds without use a model is given back.
    """
    hours: dict[str, float] = {}
    for begun_s, ended_s in _gaps(database.execute(_ROWS, {"since": start_s}), most_s):
        for hour, seconds in _hours(begun_s, ended_s):
            hours[hour] = hours.get(hour, 0.0) + seconds
    return dict(sorted(hours.items()))


def _gaps(rows: Iterable[sqlite3.Row], most_s: float) -> Iterator[tuple[float, float]]:
    session, last_s = None, 0.0
    for row in rows:
        if row["session_id"] == session and row["begun_at"] > last_s:
            yield last_s, min(row["begun_at"], last_s + most_s)
        session, last_s = row["session_id"], row["ended_at"]


def _hours(begun_s: float, ended_s: float) -> Iterator[tuple[str, float]]:
    """The hours that a span lies in, and how much of it is in each."""
    while begun_s < ended_s:
        hour = datetime.fromtimestamp(begun_s).astimezone().replace(minute=0, second=0, microsecond=0)
        until_s = min(ended_s, (hour + timedelta(hours=1)).timestamp())
        yield hour.strftime(HOUR_FORMAT), until_s - begun_s
        begun_s = until_s
