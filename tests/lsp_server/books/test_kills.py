"""A few kills of who writes the ledger; the long run is `python -m tests.lsp_server.books.kills 500`."""

import sys
from pathlib import Path

import pytest

from tests.lsp_server.books.kills import kill


@pytest.mark.skipif(sys.platform == "win32", reason="its deadlines are those of signals")
def test_a_kill_loses_no_row_that_was_told_of(tmp_path: Path) -> None:
    assert kill(4, tmp_path) == []
