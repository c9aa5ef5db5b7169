"""How long models have rested, loaded, between the requests of a session: from the ledger's rows alone.

A model is given back after a while without use, so longer gaps count up to that. What follows a session's last request
is not counted: nobody knows when its editor was closed. Where windows share an engine it rests while none of them asks.
Sessions that rest at the same moment have an equal share of it, whether or not they share an engine: the power at rest
is the machine's, and is drawn once. A model on a server elsewhere does not rest here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence

HOUR_FORMAT = "%Y-%m-%d %H:00"
"""How the ledger's sums name an hour of local time."""

_QUARTER_S = 900.0

_ROWS = """
    SELECT session_id, created_at - COALESCE(elapsed_s, 0) AS begun_at, created_at AS ended_at, engine FROM completion
    WHERE created_at >= :since AND layers_total > 0  -- a server elsewhere does not say how many its model has
    ORDER BY session_id, created_at
"""


class _Span(NamedTuple):
    """When an engine computed, or a session of it rested; `session` is None where it computed."""

    start_s: float
    end_s: float
    engine: str
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
    for span, share in _shares(_spans(database.execute(_ROWS, {"since": start_s}), most_s)):
        for hour, seconds in _hours(span.start_s, span.end_s):
            hours[hour] += seconds * share
            sessions[str(span.session)] += seconds * share
    return {"hour": dict(sorted(hours.items())), "session": dict(sessions)}


def _spans(rows: Iterable[sqlite3.Row], most_s: float) -> Sequence[_Span]:
    """What the engines did; one that no windows share is its session's."""
    spans = []
    session, engine, last_s = None, "", 0.0
    for row in rows:
        if row["session_id"] == session and row["begun_at"] > last_s:
            spans.append(_Span(last_s, min(row["begun_at"], last_s + most_s), engine, session))
        session, last_s = row["session_id"], row["ended_at"]
        engine = row["engine"] or session
        spans.append(_Span(row["begun_at"], last_s, engine, None))
    return spans


def _shares(spans: Sequence[_Span]) -> Iterator[tuple[_Span, float]]:
    """Each session that rests while its engine computes for nobody, with its share of that moment."""
    changes = [(span.start_s, 1, span) for span in spans] + [(span.end_s, -1, span) for span in spans]
    changes.sort(key=lambda change: change[0])
    now: Counter[tuple[str, str | None]] = Counter()  # whoever rests or computes
    for (at_s, change, span), (next_s, _, _) in pairwise(changes):
        now[span.engine, span.session] += change
        if not now[span.engine, span.session]:
            del now[span.engine, span.session]
        if next_s > at_s:
            rests = [(engine, session) for engine, session in now if session and (engine, None) not in now]
            for engine, session in rests:
                yield _Span(at_s, next_s, engine, session), 1 / len(rests)


def _hours(begun_s: float, ended_s: float) -> Iterator[tuple[str, float]]:
    """The hours that a span lies in, and how much of it is in each."""
    while begun_s < ended_s:
        hour, end_s = _hour_of(int(begun_s // _QUARTER_S))
        until_s = min(ended_s, end_s)
        yield hour, until_s - begun_s
        begun_s = until_s


@lru_cache(maxsize=64)  # spans come in the order of time
def _hour_of(quarter: int) -> tuple[str, float]:
    """The hour of local time that a quarter of an hour lies in, and its end: zones differ by whole quarters."""
    hour = datetime.fromtimestamp(quarter * _QUARTER_S).astimezone().replace(minute=0, second=0, microsecond=0)
    return hour.strftime(HOUR_FORMAT), (hour + timedelta(hours=1)).timestamp()
