"""A ledger in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lsp_server.books.ledger import Ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    opened = Ledger(path)
    opened.open()
    yield opened
    opened.close()
