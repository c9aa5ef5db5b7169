import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from engine.types import Completion, Provenance
from lsp_server.books.ledger import Ledger
from tests.fakes import fake_completion
from tests.lsp_server.books.rows import days, rows


def test_a_completion_is_one_row_without_any_text_of_the_user(ledger: Ledger, path: Path) -> None:
    ledger.add("session", "a", fake_completion("secret_name = 1"))

    (row,) = rows(path)
    assert (row["session_id"], row["model"], row["device"]) == ("session", "fake", "CPU, 1 thread")
    assert (row["energy_j"], row["prefill_j"], row["decode_j"], row["policy_j"]) == (2.0, 0.5, 1.5, None)
    assert (row["provenance"], row["source"], row["baseline_energy_j"]) == ("measured", "fake counter", 5.0)
    assert (row["tokens"], row["mean_exit_layer"], row["exit_depths"]) == (2, 3.0, '{"2": 1, "4": 1}')
    assert (row["offered_chars"], row["accepted_at"]) == (15, None)
    assert "secret" not in repr(tuple(row))


def test_accepting_is_recorded_once(ledger: Ledger, path: Path) -> None:
    ledger.add("session", "a", fake_completion("four"))
    ledger.accept("a")
    (first,) = rows(path)

    ledger.accept("a")
    ledger.accept("unknown")

    assert [tuple(row) for row in rows(path)] == [tuple(first)]
    assert first["accepted_chars"] == 4


def test_answers_for_nothing_are_counted_with_the_completion_they_came_from(ledger: Ledger, path: Path) -> None:
    ledger.add("session", "a", fake_completion("three"))
    ledger.reuse("a", 2)
    ledger.reuse("a", 5)
    ledger.accept("a", 2)

    (row,) = rows(path)
    (today,) = days(ledger).values()
    assert (row["reused"], row["offered_chars"], row["accepted_chars"], row["energy_j"]) == (2, 5, 2, 2.0)
    assert (today.requests, today.reused) == (1, 2)


def test_rows_outlive_the_server(path: Path) -> None:
    for completion_id in ("a", "b"):
        ledger = Ledger(path)
        ledger.add("session", completion_id, fake_completion())
        ledger.close()

    assert [row["id"] for row in rows(path)] == ["a", "b"]


def test_history_sums_up_by_day(ledger: Ledger) -> None:
    ledger.add("one", "a", fake_completion("four"))
    ledger.add("two", "b", fake_completion(energy_j=None, provenance=Provenance.NONE))
    ledger.accept("a")

    (today,) = days(ledger).values()

    assert (today.energy_j, today.baseline_energy_j, today.saved_j, today.provenance) == (2.0, 5.0, 3.0, "measured")
    assert (today.requests, today.accepted, today.kept_chars) == (2, 1, 4)


def test_days_come_in_the_order_of_time(ledger: Ledger, path: Path) -> None:
    for completion_id in "abc":
        ledger.add("session", completion_id, fake_completion())
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE completion SET created_at = 86400 * 365 WHERE id = 'a'")
        database.execute("UPDATE completion SET created_at = 86400 * 400 WHERE id = 'b'")

    oldest, older, _ = days(ledger)

    assert "1970" < oldest < older


def test_a_ledger_that_is_cleared_is_empty_and_goes_on(ledger: Ledger, path: Path) -> None:
    ledger.add("session", "a", fake_completion())

    ledger.clear()
    ledger.add("session", "b", fake_completion())

    assert [row["id"] for row in rows(path)] == ["b"]


def test_two_servers_write_at_once(path: Path) -> None:
    def write(name: str) -> None:
        ledger = Ledger(path)
        for n in range(50):
            ledger.add(name, f"{name}{n}", fake_completion())
        ledger.close()

    threads = [threading.Thread(target=write, args=(name,)) for name in "xy"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(rows(path)) == 100


def test_rows_wait_in_memory_while_the_folder_cannot_be_had(tmp_path: Path) -> None:
    blocker = tmp_path / "data"
    blocker.write_text("a file where the folder should be")
    ledger = Ledger(blocker / "ledger.sqlite3")

    ledger.add("session", "a", fake_completion())

    assert "cannot be written" in ledger.warning
    assert "kept in memory" in ledger.warning
    assert [day.requests for day in days(ledger).values()] == [1]
    blocker.unlink()
    ledger.add("session", "b", fake_completion())
    ledger.close()
    assert ledger.warning == ""
    assert [row["id"] for row in rows(blocker / "ledger.sqlite3")] == ["a", "b"]


def test_rows_wait_in_memory_while_the_disk_is_full(path: Path) -> None:
    ledger = Ledger(path)
    ledger.open()
    database = ledger._file.open_database
    assert database is not None
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages}")  # SQLite then says what it says on a full disk

    for n in range(100):
        ledger.add("session", f"{n:03}", fake_completion())

    assert "(database or disk is full)" in ledger.warning
    database.execute("PRAGMA max_page_count = 100000")
    ledger.add("session", "100", fake_completion())
    ledger.close()
    assert ledger.warning == ""
    assert len(rows(path)) == 101


def test_rows_wait_in_memory_while_another_process_locks_the_file(ledger: Ledger, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ledger.add("session", "a", fake_completion())
        assert "locked" in ledger.warning
        other.execute("ROLLBACK")

    ledger.accept("a")

    assert ledger.warning == ""
    assert rows(path)[0]["accepted_at"] is not None


def test_a_completion_with_every_unknown_is_kept(ledger: Ledger, path: Path) -> None:
    completion: Completion = fake_completion("", energy_j=None, provenance=Provenance.NONE, exit_layers=())
    ledger.add("session", "a", completion)
    unknown = {"layers_total": None, "prompt_tokens": None, "reused_tokens": None}
    ledger.add("session", "b", replace(fake_completion("", exit_layers=(None,)), **unknown))  # type: ignore[arg-type]

    row, of_a_server = rows(path)
    assert (row["energy_j"], row["mean_exit_layer"], row["tokens"]) == (None, None, 0)
    assert (of_a_server["mean_exit_layer"], of_a_server["tokens"], of_a_server["exit_depths"]) == (None, 1, "{}")


def test_parts_that_are_taken_add_up_to_what_was_offered_at_most(ledger: Ledger, path: Path) -> None:
    ledger.add("session", "a", fake_completion("one two"))

    ledger.take("a", 3)
    (first,) = rows(path)
    ledger.take("a", 3)
    ledger.take("a", 3)
    (last,) = rows(path)

    assert (first["accepted_chars"], last["accepted_chars"]) == (3, 7)
    assert first["accepted_at"] == last["accepted_at"]
