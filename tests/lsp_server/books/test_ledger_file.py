import random
import re
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lsp_server.books.ledger import UNKNOWN_DAY, Ledger
from lsp_server.books.ledger_file import MIGRATIONS
from tests.fakes import fake_completion
from tests.lsp_server.books.rows import days, rows


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_ledger_of_an_earlier_version_is_taken_over(path: Path, version: int) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as database, database:
        for statement in filter(str.strip, ";\n".join(MIGRATIONS[:version]).split(";\n")):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {version}")

    ledger = Ledger(path)
    ledger.add("session", "a", fake_completion("three"))
    ledger.reuse("a", 5)
    ledger.add_reading("session", b"/here", cpu_s=2.0, energy_j=35.0)
    ledger.close()

    assert (ledger.warning, [row["reused"] for row in rows(path)]) == ("", [1])
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT cpu_s, energy_j FROM reading").fetchall() == [(2.0, 35.0)]


def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"these are the bytes of no database" * 100)

    ledger = Ledger(path)
    ledger.add("session", "a", fake_completion())
    ledger.close()

    (kept,) = path.parent.glob("ledger.corrupt-*.sqlite3")
    assert kept.read_bytes().startswith(b"these are the bytes")
    assert ledger.warning == f"The energy ledger was damaged; it is kept as {kept.name} and a new one was begun."
    assert len(rows(path)) == 1


def test_damage_behind_a_sound_header_is_found(path: Path) -> None:
    ledger = Ledger(path)
    ledger.add("session", "a", fake_completion())
    ledger.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)  # the header stays sound
    path.write_bytes(content)

    ledger = Ledger(path)
    ledger.add("session", "b", fake_completion())
    ledger.close()

    assert [row["id"] for row in rows(path)] == ["b"]
    assert len(list(path.parent.glob("ledger.corrupt-*.sqlite3"))) == 1


def test_a_ledger_of_a_newer_version_is_left_alone(path: Path) -> None:
    newer = Ledger(path)
    newer.open()
    newer.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("ALTER TABLE completion ADD COLUMN of_later REAL")
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

    ledger = Ledger(path)
    ledger.add("session", "a", fake_completion())
    ledger.close()

    assert "newer version of Green Code" in ledger.warning
    assert rows(path) == []


def flips() -> Iterator[tuple[int, int]]:
    """Where a byte is damaged, and by which bits: in SQLite's own header, and anywhere."""
    chance = random.Random(0)
    header = 100
    for at in (18, 19, 44, 60, 63):  # two that forbid to write, SQLite's version, and both ends of ours
        yield at, 1 << 6
    for start, stop, n in ((0, header, 10), (header, 24_576, 25)):
        for _ in range(n):
            yield chance.randrange(start, stop), chance.randrange(1, 256)


@pytest.mark.parametrize(("at", "bits"), list(flips()))
def test_a_flipped_byte_loses_no_later_row_and_is_told_where_it_did_harm(path: Path, at: int, bits: int) -> None:
    ledger = Ledger(path)
    for n in range(40):
        ledger.add("session", f"{n:032}", fake_completion())
    ledger.close()
    content = bytearray(path.read_bytes())
    assert at < len(content)
    content[at] ^= bits
    path.write_bytes(content)

    ledger = Ledger(path)
    ledger.open()
    ledger.add("session", "new", fake_completion("four"))
    ledger.accept("new", 4)
    found = days(ledger)
    ledger.close()

    set_aside = list(path.parent.glob("ledger.corrupt-*.sqlite3"))
    assert ledger.warning.endswith("and a new one was begun.") == bool(set_aside)
    assert sum(day.requests for day in found.values()) == (1 if set_aside else 41)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT accepted_chars FROM completion WHERE id = 'new'").fetchall() == [(4,)]


@pytest.mark.parametrize("table", ["completion", "reading"])
def test_a_table_that_is_another_is_damage(path: Path, table: str) -> None:
    ledger = Ledger(path)
    ledger.open()
    ledger.close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"DROP TABLE {table}")
        database.execute(f"CREATE TABLE {table} (id TEXT)")

    ledger = Ledger(path)
    ledger.add("session", "a", fake_completion())
    ledger.close()

    assert "was damaged" in ledger.warning
    assert len(rows(path)) == 1


def test_what_is_set_aside_in_the_same_second_is_kept_beside_what_was(path: Path) -> None:
    path.parent.mkdir()
    for n in range(3):
        path.write_bytes(b"no database %d" % n * 100)
        ledger = Ledger(path)
        ledger.open()
        ledger.close()

    kept = path.parent.glob("ledger.corrupt-*.sqlite3")
    assert sorted(file.read_bytes()[:13] for file in kept) == [b"no database %d" % n for n in range(3)]


def test_what_sqlite_cannot_store_keeps_nothing_else_out(ledger: Ledger, path: Path) -> None:
    ledger.accept("a", 2**70)
    ledger.accept("half a character \ud800", 1)
    ledger.reuse("a", -(2**64))
    ledger.add("session", "a", replace(fake_completion("four"), prompt_tokens=2**80))
    ledger.add("session", "b", fake_completion("four"))
    ledger.accept("b", 10**6)

    (row,) = rows(path)
    assert (row["id"], row["accepted_chars"], ledger.warning) == ("b", 4, "")


@pytest.mark.parametrize("clock_s", [-1e12, -1.0, 0.0, 4e9, 1e12, 1e18])
def test_a_clock_that_jumps_loses_no_row(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch, clock_s: float
) -> None:
    ledger.add("session", "a", fake_completion())
    with monkeypatch.context() as patched:
        patched.setattr("lsp_server.books.ledger.time.time", lambda: clock_s)
        ledger.add("session", "b", fake_completion("four"))
        ledger.accept("b")

    found = days(ledger)
    assert [day.requests for day in found.values()] == [1, 1]
    assert sum(day.kept_chars for day in found.values()) == 4
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", day) for day in found)


def test_a_row_of_no_day_is_counted(ledger: Ledger, path: Path) -> None:
    ledger.add("session", "a", fake_completion())
    ledger.add("session", "b", fake_completion())
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "UPDATE completion SET created_at = 1e300, provenance = 'x\ufffd', energy_j = 9e999 WHERE id = 'b'"
        )

    (_, today), (day, unknown) = days(ledger).items()
    assert (today.requests, unknown.requests) == (1, 1)
    assert (day, unknown.energy_j, unknown.provenance) == (UNKNOWN_DAY, None, "none")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows deletes no file that is open")
@pytest.mark.parametrize("deleted", ["the folder", "the file", "its log"])
def test_what_is_deleted_while_it_is_open_is_made_again(ledger: Ledger, path: Path, deleted: str) -> None:
    ledger.add("session", "a", fake_completion())
    if deleted == "the folder":
        shutil.rmtree(path.parent)
    else:
        path.with_name(path.name + ("-wal" if deleted == "its log" else "")).unlink()

    ledger.add("session", "b", fake_completion())
    ledger.accept("b")
    ledger.close()

    assert ledger.warning == "The energy ledger was deleted while Green Code ran; a new one was begun."
    assert rows(path)[-1]["accepted_at"] is not None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_files_and_folder_are_private_to_the_user(path: Path) -> None:
    def rights() -> dict[str, str]:
        files = [path.parent, *path.parent.iterdir()]
        return {file.name: f"{stat.S_IMODE(file.stat().st_mode):o}" for file in files}

    wanted = {"data": "700", "ledger.sqlite3": "600", "ledger.sqlite3-wal": "600", "ledger.sqlite3-shm": "600"}
    ledger = Ledger(path)
    ledger.add("session", "a", fake_completion())
    assert rights() == wanted
    ledger.close()

    path.parent.chmod(0o755)  # as earlier releases made them
    path.chmod(0o644)
    ledger.add("session", "b", fake_completion())
    assert rights() == wanted
    ledger.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_a_folder_that_everybody_shares_stays_shared(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.parent.chmod(0o1777)  # as /tmp

    ledger = Ledger(path)
    ledger.add("session", "a", fake_completion())
    ledger.close()

    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o1777
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
