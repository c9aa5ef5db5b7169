"""Two servers that share an engine: what each tells its editor, also when the engine is killed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.engine.service.processes import engine_process
from tests.lsp_server.client import fake_server, initialize, started

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(60)


async def test_each_window_books_what_it_asked_for(meeting: Path, tmp_path: Path) -> None:
    ledgers = [tmp_path / "first.sqlite3", tmp_path / "second.sqlite3"]
    async with (
        started(*fake_server(ledgers[0], meeting)) as first,
        started(*fake_server(ledgers[1], meeting)) as second,
    ):
        for client in (first, second):
            await initialize(client)
            await client.ready()
            client.open("x")
        await second.complete(0, 1)

        energy = await second.energy(lambda energy: energy.requests == 1)
        assert (energy.energy_j, len(first.energies.messages[-1:])) == (2.0, 1)
        assert first.energies.messages[-1].requests == 0

    with closing(sqlite3.connect(ledgers[1])) as database:
        assert database.execute("SELECT count(*) FROM completion").fetchone() == (1,)


async def test_a_killed_engine_is_one_calm_change_and_then_suggestions_go_on(meeting: Path, tmp_path: Path) -> None:
    async with (
        started(*fake_server(tmp_path / "first.sqlite3", meeting)) as first,
        started(*fake_server(tmp_path / "second.sqlite3", meeting)) as second,
    ):
        for client in (first, second):
            await initialize(client)
            await client.ready()
            client.open("x\nhold")
        told = len(first.statuses.messages)
        process = engine_process(meeting)
        process.kill()
        process.wait()

        assert await first.complete(0, 1) is None
        await first.ready()
        assert await first.complete(0, 1) is not None
        await second.complete(0, 1)
        await second.ready()

        assert await second.complete(0, 1) is not None
        assert {status.health for status in first.statuses.messages[told:]} == {"ok"}
        sentences = [status.message for status in first.statuses.messages[told:] if status.model is None]
        assert "The engine has ended and is started again." in sentences
        assert not any("nothing worth showing" in sentence for sentence in sentences)
        assert first.messages == []
