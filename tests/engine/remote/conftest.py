"""A scripted server, and an engine that is connected to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.remote.scripted_server import ScriptedServer, loaded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.remote.remote_engine import RemoteEngine


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        server.says("foo")
        yield server


@pytest.fixture
def engine(server: ScriptedServer) -> Iterator[RemoteEngine]:
    engine = loaded(server)
    server.asked.clear()
    yield engine
    engine.close()
