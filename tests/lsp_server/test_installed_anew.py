"""A server beneath which Green Code is installed anew."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.engine.model.sources.tiny_gguf import write_tiny_gguf
from tests.lsp_server.client import ROOT, initialize, started

pytestmark = pytest.mark.timeout(120)


async def test_it_loads_nothing_more_and_says_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("engine", "lsp_server"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("CACHE", "DATA"):
        monkeypatch.setenv(f"XDG_{folder}_HOME", str(tmp_path / folder))
    for name in ("one.gguf", "two.gguf"):
        write_tiny_gguf(tmp_path / name, hidden_size=64)

    async with started(sys.executable, "-m", "lsp_server", "serve", "--in-process", cwd=tmp_path) as client:
        await initialize(client, {"model": str(tmp_path / "one.gguf"), "device": "cpu"})
        await client.ready()
        os.utime(tmp_path / "engine" / "types.py")
        client.change_settings({"model": str(tmp_path / "two.gguf"), "device": "cpu"})
        status = await client.status(lambda status: status.health == "error")

    assert status.remedy == "restart"
    assert status.message == "Green Code was installed anew while this server ran: restart the server."
