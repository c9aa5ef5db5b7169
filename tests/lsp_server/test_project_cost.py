"""What it takes to read a project is in the ledger, though the server is killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lsp_server.books.reports import read_report
from tests.lsp_server.client import BOTH_WAYS, Client, initialize

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

pytestmark = pytest.mark.timeout(60)


@BOTH_WAYS
async def test_a_killed_server_leaves_what_reading_took(
    server: AbstractAsyncContextManager[Client], ledger: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    for n in range(20):
        (folder / f"{n}.py").write_text("price = cost + tax\n" * 100)
    async with server as client:
        await initialize(client, folder=folder)
        await client.ready()
        client.open("price", uri=(folder / "1.py").as_uri())
        told = await client.energy(lambda energy: energy.projects_j is not None)
        client.server_process.kill()
        await client.server_process.wait()

    report = read_report(ledger, folder=folder)

    assert report.total is None
    assert report.reading["session"].keys() == {told.session_id}
    assert report.reading["project"][report.here].energy_j == pytest.approx(told.projects_j)
