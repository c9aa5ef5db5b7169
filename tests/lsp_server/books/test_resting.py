"""Gaps between the requests of a session, by hour."""

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from engine.energy.calibration import CALIBRATION_FILE, save_calibration
from lsp_server.books.books import Books
from lsp_server.books.ledger import Ledger, Origin
from lsp_server.books.reports import read_report
from lsp_server.protocol import HistoryParams
from tests.engine.energy.test_cost_model import ROUND
from tests.fakes import fake_completion


def at(clock: str) -> float:
    """A time of day such as "10:00:50.5"."""
    whole, _, tenths = clock.partition(".")  # Python 3.10 reads no single digit
    return datetime.fromisoformat(f"2026-03-04T{whole}").timestamp() + float(f"0.{tenths or 0}")


def write(path: Path, *requests: tuple[str, float], engine: str = "", layers_total: int | None = 30) -> None:
    """Requests that each took half a second, by session and the moment they ended."""
    ledger = Ledger(path)
    for number, (session, _) in enumerate(requests):
        ledger.add(session, f"{number}", replace(fake_completion(), layers_total=layers_total), Origin(engine=engine))
    ledger.close()
    with closing(sqlite3.connect(path)) as database, database:
        for number, (_, ended_s) in enumerate(requests):
            database.execute("UPDATE completion SET created_at = ? WHERE id = ?", (ended_s, f"{number}"))


def resting(path: Path, since: datetime | None = None) -> dict[str, float]:
    return dict(read_report(path, since, rest_after_s=1800.0).resting_s["hour"])


def test_a_gap_counts_from_an_answer_to_the_next_request(path: Path) -> None:
    write(path, ("one", at("10:00:10")), ("one", at("10:00:40")), ("one", at("10:00:50.5")))

    assert resting(path) == {"2026-03-04 10:00": pytest.approx(29.5 + 10.0)}


def test_a_gap_is_shared_out_among_its_hours_and_no_longer_than_the_model_stays(path: Path) -> None:
    write(path, ("one", at("10:50:00")), ("one", at("15:00:00")))

    assert resting(path) == {
        "2026-03-04 10:00": pytest.approx(600.0),
        "2026-03-04 11:00": pytest.approx(1200.0),
    }


def test_sessions_rest_apart_and_requests_that_overlap_do_not_rest(path: Path) -> None:
    write(path, ("one", at("10:00:10")), ("two", at("10:00:30")), ("one", at("10:00:10.2")), ("two", at("10:00:31.5")))

    assert resting(path) == {"2026-03-04 10:00": pytest.approx(1.0)}


def test_only_what_came_since_counts(path: Path) -> None:
    write(path, ("one", at("10:00:00")), ("one", at("11:00:00")), ("one", at("11:00:10.5")))

    assert resting(path, datetime.fromisoformat("2026-03-04T10:30")) == {"2026-03-04 11:00": pytest.approx(10.0)}


def test_windows_that_share_an_engine_share_its_rest(path: Path) -> None:
    write(
        path,
        *(("one", at("10:00:00")), ("one", at("10:00:40.5"))),  # rests for 40 s
        *(("two", at("10:00:10.5")), ("two", at("10:00:30.5"))),  # for 19.5 s of them
        engine="shared",
    )

    by_session = read_report(path, rest_after_s=1800.0).resting_s["session"]

    assert resting(path) == {"2026-03-04 10:00": pytest.approx(40.0 - 2 * 0.5)}  # it computed for "two" meanwhile
    assert by_session == {"one": pytest.approx(10.0 + 19.5 / 2 + 9.5), "two": pytest.approx(19.5 / 2)}


def test_engines_that_rest_at_once_draw_the_machines_power_once(path: Path) -> None:
    write(path, ("one", at("10:00:00")), ("two", at("10:00:00")), ("one", at("10:00:10.5")), ("two", at("10:00:20.5")))

    by_session = read_report(path, rest_after_s=1800.0).resting_s["session"]

    assert resting(path) == {"2026-03-04 10:00": pytest.approx(20.0)}
    assert by_session == {"one": pytest.approx(5.0), "two": pytest.approx(15.0)}


def test_a_model_on_a_server_elsewhere_does_not_rest_here(path: Path) -> None:
    write(path, ("one", at("10:00:00")), ("one", at("10:00:10.5")), layers_total=None)

    assert resting(path) == {}


async def test_the_editors_history_says_how_long_and_at_which_power(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(path.parent))
    now_s = time.time()
    write(path, ("one", now_s - 200.0), ("one", now_s - 100.0))
    books = Books(Ledger(path), lambda: None, lambda: None, dict)
    params = HistoryParams(by="day", days=2, country="")

    unknown = await books.history(params, str, rest_after_s=1800.0)
    (path.parent / "green-code").mkdir()
    measured = replace(ROUND, idle_power_w=8.0, unloaded_power_w=7.5)
    save_calibration(path.parent / "green-code" / CALIBRATION_FILE, "fake | CPU", measured)
    known = await books.history(params, str, rest_after_s=60.0)

    assert unknown.rest_s == pytest.approx(99.5)
    assert unknown.rest_w is None
    assert known.rest_s == pytest.approx(60.0)
    assert (known.rest_w, known.rest_of_model_w) == (8.0, 0.5)
