"""How long models have rested, loaded, between the requests of a session: from the ledger's rows alone.

A model is given back after a while without use, so longer gaps count up to that. What follows a session's last request
is not counted: nobody knows when its editor was closed. Where windows share an engine it rests while none of them asks,
and each session that has not ended has an equal share of that.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence

HOUR_FORMAT = "%Y-%m-%d %H:00"
"""How the ledger's sums name an hour of local time."""

_ROWS = """
    SELECT session_id, created_at - COALESCE(elapsed_s, 0) AS begun_at, created_at AS ended_at, engine FROM completion
    WHERE created_at >= :since ORDER BY session_id, created_at
"""


class _Span(NamedTuple):
    """When an engine computed, or a session of it rested; `session` is None where it computed."""

    start_s: float
    end_s: float
    session: str | None


def resting(database: sqlite3.Connection, start_s: float, *, most_s: float) -> Mapping[str, Mapping[str, float]]:
    """Seconds at rest, by "hour" and by "session".

    Args:
        database: The ledger's.
        start_s: The first moment that counts, in seconds since 1970.
        most_s: After how many seconds without use a model is given back.
    """
    hours: dict[str, float] = defaultdict(float)
    sessions: dict[str, float] = defaultdict(float)
    for spans in _spans(database.execute(_ROWS, {"since": start_s}), most_s).values():
        for span, share in _shares(spans):
            for hour, seconds in _hours(span.start_s, span.end_s):
                hours[hour] += seconds * share
                sessions[str(span.session)] += seconds * share
    return {"hour": dict(sorted(hours.items())), "session": dict(sessions)}


def _spans(rows: Iterable[sqlite3.Row], most_s: float) -> Mapping[str, Sequence[_Span]]:
    """What each engine did; one that no windows share is its session's."""
    spans: dict[str, list[_Span]] = defaultdict(list)
    session, engine, last_s = None, "", 0.0
    for row in rows:
        if row["session_id"] == session and row["begun_at"] > last_s:
            spans[engine].append(_Span(last_s, min(row["begun_at"], last_s + most_s), session))
        session, last_s = row["session_id"], row["ended_at"]
        engine = row["engine"] or session
        spans[engine].append(_Span(row["begun_at"], last_s, None))
    return spans


def _shares(spans: Sequence[_Span]) -> Iterator[tuple[_Span, float]]:
    """While an engine computes for nobody: each session that rests, with its share."""
    changes = [(span.start_s, 1, span.session) for span in spans] + [(span.end_s, -1, span.session) for span in spans]
    changes.sort(key=lambda change: change[0])
    now: Counter[str | None] = Counter()
    for (at_s, change, session), (next_s, _, _) in pairwise(changes):
        now[session] += change
        rests = [one for one, count in now.items() if count > 0]
        if next_s > at_s and None not in rests:
            for one in rests:
                yield _Span(at_s, next_s, one), 1 / len(rests)


def _hours(begun_s: float, ended_s: float) -> Iterator[tuple[str, float]]:
    """The hours that a span lies in, and how much of it is in each."""
    while begun_s < ended_s:
        hour = datetime.fromtimestamp(begun_s).astimezone().replace(minute=0, second=0, microsecond=0)
        until_s = min(ended_s, (hour + timedelta(hours=1)).timestamp())
        yield hour.strftime(HOUR_FORMAT), until_s - begun_s
        begun_s = until_s
