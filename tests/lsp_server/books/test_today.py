import sqlite3
import sys
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from lsp_server.books.ledger import Ledger
from lsp_server.books.today import SpentToday, Today, midnight_s
from tests.fakes import fake_completion


def test_today_goes_on_over_restarts_and_windows(ledger: Ledger, path: Path) -> None:
    today = Today()
    assert today.look(ledger) == SpentToday(energy_j=None, sessions=0)

    ledger.add("one", "a", fake_completion())
    assert today.look(ledger) == SpentToday(energy_j=2.0, sessions=1)
    ledger.add("one", "b", fake_completion(energy_j=None))
    assert today.look(ledger) == SpentToday(energy_j=2.0, sessions=1)

    other = Ledger(path)
    other.add("two", "c", fake_completion())
    other.close()

    assert today.look(ledger) == today.look(ledger) == SpentToday(energy_j=4.0, sessions=2)
    assert Today().look(ledger) == today.look(ledger)


def test_yesterday_is_not_today(ledger: Ledger, path: Path) -> None:
    ledger.add("one", "a", fake_completion())
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE completion SET created_at = created_at - 86401")
    ledger.add("two", "b", fake_completion())

    assert Today().look(ledger) == SpentToday(energy_j=2.0, sessions=1)


def test_a_row_that_was_written_late_is_of_the_day_that_it_says(ledger: Ledger, path: Path) -> None:
    today = Today()
    ledger.add("one", "a", fake_completion())
    today.look(ledger)
    ledger.add("two", "b", fake_completion(energy_j=8.0))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE completion SET created_at = created_at - 86401 WHERE id = 'b'")

    assert today.look(ledger) == SpentToday(energy_j=2.0, sessions=1)
    ledger.add("one", "c", fake_completion())
    assert today.look(ledger) == Today().look(ledger) == SpentToday(energy_j=4.0, sessions=1)


def test_a_look_reads_only_what_came_since_the_one_before(ledger: Ledger, path: Path) -> None:
    today = Today()
    for name in "ab":
        ledger.add("one", name, fake_completion())
    today.look(ledger)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE completion SET energy_j = 100")  # nobody does: it would show that they are read again
    ledger.add("one", "c", fake_completion())
    asked: list[str] = []
    assert ledger.written is not None
    ledger.written.set_trace_callback(asked.append)

    assert today.look(ledger).energy_j == 6.0
    assert len(asked) == 1


@pytest.mark.parametrize("column", ["session_id", "created_at", "energy_j"])
@pytest.mark.parametrize("damaged", ["'no number'", "x'00ff'", "1e999"])
def test_a_damaged_row_stops_no_look(ledger: Ledger, path: Path, column: str, damaged: str) -> None:
    today = Today()
    ledger.add("one", "a", fake_completion())
    today.look(ledger)
    ledger.add("one", "b", fake_completion())
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"UPDATE completion SET {column} = {damaged} WHERE id = 'b'")  # noqa: S608 - names of ours

    assert today.look(ledger).energy_j == (2.0 if column == "energy_j" else 4.0)
    ledger.add("one", "c", fake_completion())
    assert today.look(ledger).energy_j == (4.0 if column == "energy_j" else 6.0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows takes no other time zone for one process")
@pytest.mark.parametrize(
    ("day", "began"),
    [
        ((2026, 3, 29), "2026-03-29T00:00+01:00"),  # of 23 hours
        ((2026, 10, 25), "2026-10-25T00:00+02:00"),  # of 25
        ((2026, 12, 31), "2026-12-31T00:00+01:00"),
    ],
)
def test_a_day_on_which_the_clock_is_changed_begins_when_it_did(
    monkeypatch: pytest.MonkeyPatch, day: tuple[int, int, int], began: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        found_s = midnight_s(day)
    time.tzset()

    assert found_s == datetime.fromisoformat(began).timestamp()


def test_a_ledger_that_was_emptied_begins_anew(ledger: Ledger) -> None:
    today = Today()
    for name in "abc":
        ledger.add("one", name, fake_completion())
    assert today.look(ledger).energy_j == 6.0

    ledger.clear()
    assert today.look(ledger) == SpentToday(energy_j=None, sessions=0)
    ledger.add("two", "d", fake_completion())
    assert today.look(ledger) == SpentToday(energy_j=2.0, sessions=1)

    ledger.clear()
    for name in "efgh":  # by other windows, before this one looks
        ledger.add("three", name, fake_completion(energy_j=5.0))
    assert today.look(ledger) == SpentToday(energy_j=20.0, sessions=1)


def test_without_the_file_nothing_is_known_of_today(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    ledger = Ledger(tmp_path / "file" / "ledger.sqlite3")
    ledger.add("one", "a", fake_completion())

    assert Today().look(ledger) == SpentToday()
