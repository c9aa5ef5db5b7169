"""The server as editors start it, with a real vLLM server: `GREEN_CODE_VLLM=VENV/bin/python pytest -m vllm`."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from engine.evaluation.vllm_server import VllmServer
from tests.engine.remote.vllm_server import TOKEN, serving
from tests.lsp_server.client import Client, initialize, started

pytestmark = [pytest.mark.vllm, pytest.mark.model, pytest.mark.timeout(900)]
FACTORIAL = 'def factorial(n):\n    """Returns n!."""\n    if n == 0:\n        return 1\n    return '


@pytest.fixture(scope="module")
def vllm(default_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    with serving(default_model_path, tmp_path_factory.mktemp("vllm")) as running:
        yield running


@pytest.fixture
async def client(own_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.setenv("GREEN_CODE_REMOTE_TOKEN", TOKEN)
    async with started(sys.executable, "-I", "-m", "lsp_server", cwd=tmp_path) as client:
        yield client


async def test_ghost_text_comes_from_vllm_until_it_is_killed(client: Client, vllm: VllmServer) -> None:
    await initialize(client, {"remote": {"url": f"{vllm.url}/v1"}, "greenMode": 0})
    status = await client.ready()
    client.open("")
    client.open(FACTORIAL, uri="file:///project/b.py")

    nothing = await client.complete(0, 0, invoked=True)
    item = await client.complete(4, 11, uri="file:///project/b.py")
    energy = await client.energy(lambda energy: energy.tokens > 0)
    client.type(4, 11, "n *", uri="file:///project/b.py")
    along = await client.complete(4, 14, uri="file:///project/b.py")

    assert nothing is None
    assert item is not None
    assert along is not None
    assert (item.insert_text, along.insert_text) == ("n * factorial(n - 1)", " factorial(n - 1)")
    assert (status.model, status.remote) == ("coder", vllm.url.removeprefix("http://"))
    assert (energy.energy_j, energy.provenance) == (None, "none")

    first = psutil.Process(vllm.process.pid)
    for process in (*first.children(recursive=True), first):
        process.kill()
    client.open("other = [1, 2, ", uri="file:///project/c.py")
    assert await client.complete(0, 15, uri="file:///project/c.py", invoked=True) is None
    told = await client.status(lambda status: status.health == "warning")
    assert "cannot be reached" in told.message or "broke off" in told.message
