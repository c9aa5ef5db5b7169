"""The end of the editor's process is noticed, whether the system tells of it or has to be asked."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lsp_server import client_process
from lsp_server.client_process import ClientProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 20.0


@pytest.fixture
def editor() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process


@pytest.fixture
def nobody_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that knows no such thing."""

    def refuse(_: int) -> int:
        raise OSError("Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)
    monkeypatch.setattr(client_process, "PERIOD_S", 0.01)


async def ends_with(editor: subprocess.Popen[bytes]) -> None:
    client = ClientProcess(editor.pid)
    end = asyncio.create_task(client.end())
    await asyncio.sleep(0)
    assert not end.done()

    assert editor.stdin is not None
    editor.stdin.close()  # it ends, and stays a zombie until somebody waits for it

    await asyncio.wait_for(end, PATIENCE_S)


async def test_an_end_is_told(editor: subprocess.Popen[bytes]) -> None:
    await ends_with(editor)


@pytest.mark.usefixtures("nobody_tells")
async def test_an_end_is_found(editor: subprocess.Popen[bytes]) -> None:
    await ends_with(editor)


@pytest.mark.parametrize("is_told", [True, False])
def test_a_process_that_is_not_there_is_an_error(
    editor: subprocess.Popen[bytes], request: pytest.FixtureRequest, *, is_told: bool
) -> None:
    if not is_told:
        request.getfixturevalue("nobody_tells")
    editor.kill()
    editor.wait()

    with pytest.raises(ProcessLookupError):
        ClientProcess(editor.pid)
