"""Rows that wait are written as soon as the file can be had, though nobody types on."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lsp_server.books.books import Books
from lsp_server.books.ledger import UNKNOWN_ORIGIN, Ledger
from tests.fakes import fake_completion
from tests.lsp_server.books.rows import rows


async def test_a_warning_goes_with_what_it_warned_of(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsp_server.books.books.TRY_AGAIN_S", 0.001)
    warnings: list[str] = []
    calm = asyncio.Event()

    def note() -> None:
        warnings.append(books.warning)
        if not books.warning:
            calm.set()

    books = Books(ledger, note, note, dict)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        books.computed("a", fake_completion(), UNKNOWN_ORIGIN)
        while len(warnings) < 3:
            await asyncio.sleep(0.001)
        assert all("locked" in warning for warning in warnings)
        other.execute("ROLLBACK")
    await asyncio.wait_for(calm.wait(), 30)

    assert [row["id"] for row in rows(path)] == ["a"]
    books.close()
