"""A server on stdio around a fake engine, and its ledger."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.lsp_server.client import (
    Client,
    fake_server,
    initialize,
    started,
)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def server(ledger: Path) -> AbstractAsyncContextManager[Client]:
    """Not yet initialized."""
    return started(*fake_server(ledger))


@pytest.fixture
async def client(server: AbstractAsyncContextManager[Client]) -> AsyncIterator[Client]:
    """Its engine is loaded."""
    async with server as client:
        await initialize(client)
        await client.ready()
        yield client
