"""A server on stdio around a fake engine, and its ledger."""

import tempfile
from collections.abc import AsyncIterator, Iterator
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
def engine_is() -> str:
    """Where the engine is: "alone" in the server's process, or "shared", in its own; `BOTH_WAYS` tries both."""
    return "alone"


@pytest.fixture
def meeting() -> Iterator[Path]:
    """Where servers meet that share an engine; paths of sockets are short."""
    with tempfile.TemporaryDirectory(prefix="green-code-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def server(ledger: Path, meeting: Path, engine_is: str) -> AbstractAsyncContextManager[Client]:
    """Not yet initialized."""
    return started(*fake_server(ledger, meeting if engine_is == "shared" else None))


@pytest.fixture
async def client(server: AbstractAsyncContextManager[Client]) -> AsyncIterator[Client]:
    """Its engine is loaded."""
    async with server as client:
        await initialize(client)
        await client.ready()
        yield client
