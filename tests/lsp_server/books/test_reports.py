"""Sums of the ledger against requests whose figures are easy to add up."""

import ntpath
import os
import re
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path, PureWindowsPath

import pytest

from engine.errors import ConfigError
from engine.types import FinishReason, Provenance
from lsp_server.books.ledger import Ledger, Origin
from lsp_server.books.ledger_file import MIGRATIONS
from lsp_server.books.ledger_reader import _as_uri
from lsp_server.books.reports import GROUPS, read_report
from tests.fakes import fake_completion

HERE = Path("/home/me/secret-client/work")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Three requests of two languages, projects and sessions, one of them accepted and one of unknown cost."""
    path = tmp_path / "ledger.sqlite3"
    ledger = Ledger(path)
    ledger.add("one", "a", fake_completion("four"), Origin(language_id="python", folder=bytes(HERE)))
    ledger.add("one", "b", fake_completion("three"), Origin(language_id="rust", folder=b"/elsewhere"))
    ledger.add(
        "two",
        "c",
        fake_completion("unmeasured", energy_j=None, provenance=Provenance.NONE, finish_reason=FinishReason.CANCELLED),
        Origin(language_id="python", folder=bytes(HERE)),
    )
    ledger.accept("a")
    ledger.accept("c", 9)
    ledger.close()
    return path


def test_everything_is_summed_up(path: Path) -> None:
    total = read_report(path).total

    assert total is not None
    assert (total.energy_j, total.prefill_j, total.decode_j, total.policy_j) == (4.0, 1.0, 3.0, None)
    assert (total.wasted_j, total.baseline_energy_j, total.saved_j, total.provenance) == (2.0, 10.0, 6.0, "measured")
    assert (total.saved_low_j, total.saved_high_j) == (2.0, 12.0)
    assert (total.requests, total.cancelled, total.accepted, total.kept_chars) == (3, 1, 2, 13)
    assert total.kept_chars_per_j == 4 / 4.0  # characters whose joules are not known are left out
    assert total.elapsed_s == 1.5
    assert read_report(path).sources == ("measured: fake counter",)


def test_text_that_cost_nothing_does_not_change_how_joules_were_had(path: Path) -> None:
    ledger = Ledger(path)
    ledger.add("three", "d", fake_completion(energy_j=0.0, provenance=Provenance.MODELLED))
    ledger.close()

    report = read_report(path)

    assert report.total is not None
    assert (report.total.provenance, report.sources) == ("measured", ("measured: fake counter",))
    assert [sums.provenance for sums in report.by["session"].values()] == ["measured", "none", "modelled"]


def test_sums_with_a_request_whose_range_no_release_wrote_have_none(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE completion SET saved_low_j = NULL, saved_high_j = NULL WHERE id = 'a'")

    report = read_report(path)

    assert report.total is not None
    assert (report.total.saved_j, report.total.saved_low_j, report.total.saved_high_j) == (6.0, None, None)
    rust = report.by["language"]["rust"]
    assert (rust.saved_j, rust.saved_low_j, rust.saved_high_j) == (3.0, 1.0, 6.0)


def test_each_group_adds_up_to_the_whole(path: Path) -> None:
    report = read_report(path)

    assert report.by.keys() == GROUPS.keys()
    for groups in report.by.values():
        assert sum(sums.requests for sums in groups.values()) == 3
        assert sum(sums.energy_j or 0.0 for sums in groups.values()) == 4.0
    assert {key: sums.requests for key, sums in report.by["language"].items()} == {"python": 2, "rust": 1}
    assert {key: sums.requests for key, sums in report.by["session"].items()} == {"one": 2, "two": 1}


def test_a_project_is_a_hash_that_its_own_folder_is_known_by(path: Path) -> None:
    report = read_report(path, folder=HERE)

    assert len(report.by["project"]) == 2
    assert report.by["project"][report.here].requests == 2
    assert b"secret-client" not in path.read_bytes()


def test_a_folder_is_one_project_however_windows_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """VS Code names drives by small letters, a terminal by capitals."""
    monkeypatch.setattr("os.path.normcase", ntpath.normcase)
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    for completion_id, folder in (("a", b"c:\\Work\\shop"), ("b", b"C:\\work\\shop")):
        ledger.add("one", completion_id, fake_completion("x"), Origin(language_id="python", folder=folder))
    ledger.close()

    report = read_report(tmp_path / "ledger.sqlite3", folder=Path("C:\\Work\\shop"))

    assert report.by["project"][report.here].requests == 2


def test_another_ledger_hashes_the_same_folder_otherwise(path: Path, tmp_path: Path) -> None:
    other = Ledger(tmp_path / "other.sqlite3")
    other.open()
    other.close()

    assert read_report(path, folder=HERE).here != read_report(tmp_path / "other.sqlite3", folder=HERE).here


def test_only_what_came_since_counts(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE completion SET created_at = :at WHERE id = 'a'", {"at": stamp("2026-03-01T12:34")})
        database.execute("UPDATE completion SET created_at = :at WHERE id = 'b'", {"at": stamp("2026-03-02T12:34")})
        database.execute("UPDATE completion SET created_at = :at WHERE id = 'c'", {"at": stamp("2026-03-02T13:00")})

    report = read_report(path, datetime.fromisoformat("2026-03-02").astimezone())

    assert list(report.by["day"]) == ["2026-03-02"]
    assert list(report.by["hour"]) == ["2026-03-02 12:00", "2026-03-02 13:00"]
    assert report.total is not None
    assert (report.total.requests, report.total.energy_j) == (2, 2.0)


def test_a_time_without_requests_has_no_total(path: Path) -> None:
    assert read_report(path, datetime.fromisoformat("2999-01-01").astimezone()).total is None


def test_a_ledger_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as database, database:
        for script in MIGRATIONS[:2]:
            for statement in filter(str.strip, script.split(";\n")):
                database.execute(statement)
        database.execute("PRAGMA user_version = 2")
        database.execute(
            "INSERT INTO completion VALUES ('a', 'one', 1e9, 'm', 'CPU', 'learned', 20, 'stop', 'measured', 'counter', "
            "2.0, 1.0, 1.0, 0.0, 0.0, 3.0, 10, 0, 4, 30, 9.0, '{}', 0.1, 0.1, 4, NULL, NULL, 0)"
        )
    before = path.read_bytes()

    report = read_report(path)

    assert {key: (sums.requests, sums.energy_j) for key, sums in report.by["language"].items()} == {"": (1, 2.0)}
    assert {key: sums.saved_low_j for key, sums in report.by["project"].items()} == {"": None}
    assert path.read_bytes() == before


def test_no_ledger_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^There is no energy ledger yet: .* is written with the first completion"):
        read_report(tmp_path / "ledger.sqlite3")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_ledger_is_one_sentence_and_stays_as_it_is(tmp_path: Path) -> None:
    """Whoever names the wrong file keeps it, and the rights on its folder."""
    tmp_path.chmod(0o755)
    path = tmp_path / "app.py"
    path.write_bytes(b"these are the bytes of no database" * 100)
    other = tmp_path / "other.sqlite3"
    with closing(sqlite3.connect(other)) as database, database:
        database.execute("CREATE TABLE places (url TEXT)")

    for each in (path, other, tmp_path):
        before = each.read_bytes() if each.is_file() else b""
        with pytest.raises(ConfigError, match=rf"^{re.escape(str(each))} (cannot be read as|is no file, so it is no)"):
            read_report(each)
        assert (each.read_bytes() if each.is_file() else b"") == before
    assert sorted(tmp_path.iterdir()) == [path, other]
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_ledger_of_a_later_release_is_one_sentence(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("ALTER TABLE completion ADD COLUMN smell REAL")
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

    with pytest.raises(ConfigError, match=r"energy ledger: it was written by a newer version of Green Code\.$"):
        read_report(path)


def test_nothing_is_left_beside_a_ledger_that_nobody_has_open(path: Path) -> None:
    before = sorted(path.parent.iterdir())

    read_report(path)

    assert sorted(path.parent.iterdir()) == before


def test_a_ledger_is_read_where_nothing_may_be_written(path: Path) -> None:
    if os.name == "nt" or os.geteuid() == 0:
        pytest.skip("no folder is closed to this user")
    path.parent.chmod(0o555)
    try:
        assert read_report(path).total is not None
    finally:
        path.parent.chmod(0o755)


def test_a_ledger_on_another_machine_has_an_address_that_sqlite_reads(path: Path) -> None:
    assert _as_uri(PureWindowsPath(r"\\server\share\a b.sqlite3")) == "file:////server/share/a%20b.sqlite3"
    assert _as_uri(PureWindowsPath(r"C:\a#b.sqlite3")) == "file:///C:/a%23b.sqlite3"
    with closing(sqlite3.connect(f"file:///{path.as_posix()}?mode=ro", uri=True)) as database:
        assert database.execute("SELECT COUNT(*) FROM completion").fetchone() == (3,)


def test_a_ledger_that_a_server_writes_is_read_meanwhile(path: Path) -> None:
    ledger = Ledger(path)
    ledger.add("two", "d", fake_completion("four"))

    report = read_report(path)

    ledger.close()
    assert report.total is not None
    assert report.total.requests == 4


def stamp(local: str) -> float:
    return datetime.fromisoformat(local).astimezone().timestamp()
