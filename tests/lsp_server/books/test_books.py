"""What reading projects takes is told beside the requests of a session, and begins anew with the next one."""

import pytest

from engine.energy.cost_model import CPU_ACTIVE_POWER_W
from lsp_server.books.books import Books
from lsp_server.books.ledger import Ledger


def test_reading_projects_is_modelled_by_its_time_and_counted_by_session(ledger: Ledger) -> None:
    cpu_s = [0.0]
    books = Books(ledger, lambda: None, lambda: cpu_s[0])

    def told(after_s: float) -> float | None:
        cpu_s[0] = after_s
        return books.totals(green_mode=20, layers_total=30).projects_j

    assert told(0.0) is None
    assert told(2.0) == pytest.approx(2.0 * CPU_ACTIVE_POWER_W)
    assert told(3.0) == pytest.approx(3.0 * CPU_ACTIVE_POWER_W)
    books.begin_session()
    assert told(3.0) is None
    assert told(3.5) == pytest.approx(0.5 * CPU_ACTIVE_POWER_W)
