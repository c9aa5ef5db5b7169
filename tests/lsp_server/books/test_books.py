"""What reading projects takes: told beside the requests of a session, and kept in the ledger by session and project."""

import threading
from pathlib import Path
from typing import Any

import pytest

from engine.energy.cost_model import CPU_ACTIVE_POWER_W
from lsp_server import books
from lsp_server.books.books import Books
from lsp_server.books.ledger import Ledger
from lsp_server.books.reports import read_report
from lsp_server.protocol import HistoryParams
from tests.fakes import fake_completion

HERE, THERE = Path("/home/me/secret-client"), Path("/home/me/other")


class Spent:
    """Books of which the projects' CPU time is set."""

    def __init__(self, ledger: Ledger) -> None:
        self.cpu_s: dict[Path, float] = {}
        self.n_changes = 0
        self.books = Books(ledger, self._count, self._count, lambda: self.cpu_s)

    def told(self, **cpu_s: float) -> float | None:
        """What the session is told to have taken, after so much for each folder."""
        self.cpu_s.update({{"here": HERE, "there": THERE}[name]: value for name, value in cpu_s.items()})
        self.books.read()
        return self.books.totals(str, green_mode=20, layers_total=30).projects_j

    def _count(self) -> None:
        self.n_changes += 1


@pytest.fixture
def spent(ledger: Ledger) -> Spent:
    return Spent(ledger)


def test_reading_projects_is_modelled_by_its_time_and_counted_by_session(spent: Spent) -> None:
    assert spent.told() is None
    assert spent.told(here=2.0) == pytest.approx(2.0 * CPU_ACTIVE_POWER_W)
    assert spent.told(here=2.5, there=0.5) == pytest.approx(3.0 * CPU_ACTIVE_POWER_W)
    spent.books.begin_session()
    assert spent.told() is None
    assert spent.told(there=1.0) == pytest.approx(0.5 * CPU_ACTIVE_POWER_W)


def test_the_client_is_told_only_where_something_was_read(spent: Spent) -> None:
    spent.told(here=1.0)
    spent.told(here=1.0)

    assert spent.n_changes == 1


def test_the_ledger_keeps_it_by_session_and_project(spent: Spent, path: Path) -> None:
    spent.told(here=2.0)
    first = spent.books.totals(str, green_mode=20, layers_total=30).session_id
    spent.books.begin_session()
    spent.told(here=3.0, there=0.25)
    second = spent.books.totals(str, green_mode=20, layers_total=30).session_id
    spent.cpu_s[THERE] = 0.5  # nobody tells; the end counts it
    spent.books.close()

    report = read_report(path, folder=HERE)

    assert {key: read.cpu_s for key, read in report.reading["session"].items()} == {first: 2.0, second: 1.5}
    assert sorted(read.cpu_s for read in report.reading["project"].values()) == [0.5, 3.0]
    assert report.reading["project"][report.here].cpu_s == 3.0
    assert report.reading.keys() == {"hour", "day", "session", "project"}
    for readings in report.reading.values():
        assert sum(read.energy_j or 0.0 for read in readings.values()) == pytest.approx(3.5 * CPU_ACTIVE_POWER_W)
        assert {read.provenance for read in readings.values()} == {"modelled"}
    assert b"secret-client" not in path.read_bytes()


def test_it_is_in_no_sum_of_requests(spent: Spent, ledger: Ledger, path: Path) -> None:
    ledger.add("one", "a", fake_completion())
    spent.told(here=100.0)

    report = read_report(path)

    assert report.total is not None
    assert (report.total.energy_j, report.total.requests) == (2.0, 1)
    assert report.by["session"].keys() == {"one"}


async def test_the_history_tells_it_by_the_same_keys_and_forgets_it_with_the_rest(spent: Spent) -> None:
    async def history(by: str) -> tuple[float | None, list[float | None]]:
        params = HistoryParams(by=by, days=1, country="")  # type: ignore[arg-type]  # one of the literals
        told = await spent.books.history(params, str, rest_after_s=60.0)
        return told.projects_j, [read.energy_j for read in told.projects]

    assert await history("day") == (None, [])
    spent.told(here=1.0)
    spent.books.begin_session()
    spent.told(here=3.0)

    assert await history("day") == (3.0 * CPU_ACTIVE_POWER_W, [3.0 * CPU_ACTIVE_POWER_W])
    assert await history("session") == (3.0 * CPU_ACTIVE_POWER_W, [CPU_ACTIVE_POWER_W, 2.0 * CPU_ACTIVE_POWER_W])
    assert await history("language") == (3.0 * CPU_ACTIVE_POWER_W, [])
    spent.books.clear_history()
    assert await history("session") == (None, [])
    assert spent.told(here=4.0) == pytest.approx(3.0 * CPU_ACTIVE_POWER_W)  # the session's sums stay
    assert await history("session") == (CPU_ACTIVE_POWER_W, [CPU_ACTIVE_POWER_W])


async def test_a_history_is_summed_up_beside_the_event_loop(spent: Spent, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def resting(*args: Any, **more: Any) -> Any:  # noqa: ANN401 - as it is called
        threads.append(threading.current_thread())
        return books.resting.resting(*args, **more)

    monkeypatch.setattr(books.books, "resting", resting)
    spent.told(here=1.0)

    await spent.books.history(HistoryParams(by="day", days=1, country=""), str, rest_after_s=60.0)

    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()
