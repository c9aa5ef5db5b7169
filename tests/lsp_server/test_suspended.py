"""An engine, a server, or all of them stand still for a while, as on a machine that sleeps; then all is well again."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.engine.service.processes import engine_process
from tests.lsp_server.client import fake_server, initialize, started

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.lsp_server.client import Client

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform == "win32", reason="no process can be stopped there"),
]


@asynccontextmanager
async def window(meeting: Path, tmp_path: Path) -> AsyncIterator[Client]:
    """Not yet loaded."""
    async with started(*fake_server(tmp_path / "ledger.sqlite3", meeting)) as client:
        await initialize(client)
        client.open("x")
        yield client


async def is_answered(client: Client) -> bool:
    return await client.complete(0, 1, invoked=True) is not None


def process_of(client: Client) -> psutil.Process:
    return psutil.Process(client.server_process.pid)


async def test_while_the_engine_stands_still_windows_come_and_go_and_wait(meeting: Path, tmp_path: Path) -> None:
    async with window(meeting, tmp_path) as first:
        await first.ready()
        async with window(meeting, tmp_path) as leaving:
            await leaving.ready()
            engine = engine_process(meeting)
            engine.suspend()
            waiting = asyncio.create_task(is_answered(first))
            await first.status(lambda status: not status.quiescent)
        assert leaving.server_process.returncode is not None
        async with window(meeting, tmp_path) as coming:
            await coming.status(lambda status: status.message.startswith("Loading the model"))
            assert not await is_answered(coming)

            engine.resume()

            assert await waiting
            await coming.ready()
            assert await is_answered(coming)
            assert engine_process(meeting) == engine
            assert len(list(meeting.glob("*.sock"))) == 1


async def test_a_server_that_stands_still_keeps_nobody_else_waiting(meeting: Path, tmp_path: Path) -> None:
    async with window(meeting, tmp_path) as first, window(meeting, tmp_path) as second:
        await first.ready()
        await second.ready()
        process_of(first).suspend()
        waiting = asyncio.create_task(is_answered(first))

        assert await is_answered(second)

        process_of(first).resume()
        assert await waiting


async def test_after_all_have_slept_the_same_engine_answers(meeting: Path, tmp_path: Path) -> None:
    async with window(meeting, tmp_path) as first, window(meeting, tmp_path) as second:
        await first.ready()
        await second.ready()
        engine = engine_process(meeting)
        for process in (everybody := [engine, process_of(first), process_of(second)]):
            process.suspend()
        waiting = [asyncio.create_task(is_answered(client)) for client in (first, second)]

        for process in everybody:
            process.resume()

        assert await asyncio.gather(*waiting) == [True, True]
        assert engine_process(meeting) == engine
        assert {status.health for client in (first, second) for status in client.statuses.messages} == {"ok"}
