"""The server as editors start it, with a completion server elsewhere: `python -I -m lsp_server`."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from tests.engine.remote.scripted_server import ScriptedServer
from tests.lsp_server.client import Client, initialize, started

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def remote() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        server.says("foot", "=12", "\n", "more")
        yield server


@pytest.fixture
async def client(own_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.setenv("GREEN_CODE_REMOTE_TOKEN", "s3cret")
    async with started(sys.executable, "-I", "-m", "lsp_server", cwd=tmp_path) as client:
        yield client


def settings(server: ScriptedServer, **more: object) -> dict[str, object]:
    return {"remote": {"url": server.url}, "logLevel": "debug", **more}


async def test_ghost_text_comes_from_a_server_elsewhere_without_a_joule(client: Client, remote: ScriptedServer) -> None:
    await initialize(client, settings(remote))
    status = await client.ready()
    client.open("a = ")

    item = await client.complete(0, 4)
    energy = await client.energy(lambda energy: energy.requests == 1)

    assert item is not None
    assert item.insert_text == "foot=12"
    host = f"127.0.0.1:{remote.port}"
    assert (status.model, status.device, status.remote) == ("coder", f"server {host}", host)
    assert status.meter == f"not known: {host} reports no energy"
    assert (energy.energy_j, energy.provenance, energy.source) == (None, "none", f"{host} reports no energy")
    assert (energy.saved_j, energy.mean_exit_layer, energy.tokens) == (None, None, 3)


async def test_what_is_typed_along_asks_nobody(client: Client, remote: ScriptedServer) -> None:
    await initialize(client, settings(remote))
    await client.ready()
    client.open("a = ")
    await client.complete(0, 4)
    asked = len(remote.asked)

    client.type(0, 4, "fo")
    item = await client.complete(0, 6)

    assert item is not None
    assert (item.insert_text, len(remote.asked)) == ("ot=12", asked)


async def test_private_files_never_leave(client: Client, remote: ScriptedServer) -> None:
    await initialize(client, settings(remote, otherFiles=True))
    await client.ready()
    client.open("PASSWORD = 'hunter2'\na = ", uri="file:///project/.env", language_id="python")
    client.open("PASSWORD = ")

    private = await client.complete(1, 4, uri="file:///project/.env", invoked=True)
    await client.complete(0, 11, invoked=True)

    assert private is None
    assert "hunter2" not in str(remote.asked)


async def test_the_token_is_sent_and_is_nowhere_else(client: Client, remote: ScriptedServer, tmp_path: Path) -> None:
    await initialize(client, settings(remote))
    await client.ready()

    assert remote.headers["Authorization"] == "Bearer s3cret"
    remote.answers["/v1/completions"] = (401, {"error": {"message": "bad key s3cret"}})
    client.open("a = ")
    await client.complete(0, 4, invoked=True)
    status = await client.status(lambda status: status.health == "warning")

    assert "refused the token" in status.message
    told = [*map(str, client.statuses.messages), *client.hints.messages, *(log.message for log in client.log_messages)]
    assert told
    assert not any("s3cret" in said for said in told)
    files = [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert files
    assert not any(b"s3cret" in content for content in files)
    children = psutil.Process(client.server_process.pid).children(recursive=True)
    assert not any("GREEN_CODE_REMOTE_TOKEN" in child.environ() for child in children)


async def test_a_server_that_is_away_is_told_and_asked_again(client: Client, remote: ScriptedServer) -> None:
    remote.answers["/v1/models"] = (503, {"error": {"message": "Loading model"}})
    await initialize(client, settings(remote))

    status = await client.status(lambda status: status.health == "error")

    assert status.message.startswith(f"The completion server 127.0.0.1:{remote.port} cannot answer now: Loading model.")
    assert "Green Code tries again in 30 seconds" in status.message
    assert (status.model, status.remote) == (None, None)


async def test_an_address_that_is_none_is_told(client: Client) -> None:
    await initialize(client, {"remote": {"url": "gpu.example"}})

    status = await client.status(lambda status: status.health == "error")

    assert status.message.startswith("The setting greenCode.remote.url is no address of a completion server;")
