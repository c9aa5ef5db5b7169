"""A short run of what books requests; the long one is `python -m tests.lsp_server.books.cost`."""

import asyncio
import json
from pathlib import Path
from statistics import median
from typing import Any

from lsp_server.protocol import SESSION_ENERGY
from tests.lsp_server.books.cost import measure
from tests.lsp_server.in_process import InProcess

MOST_MS = 1.0


async def test_a_request_is_booked_within_a_millisecond(tmp_path: Path) -> None:
    taken_ms = await measure(100, tmp_path)

    assert median(map(sum, zip(taken_ms["account"], taken_ms["computed"], strict=True))) < MOST_MS
    assert median(taken_ms["accepted"]) < MOST_MS


async def test_what_is_booked_in_a_moment_is_told_in_one_message(tmp_path: Path) -> None:
    client = InProcess(tmp_path / "ledger.sqlite3")
    await client.start(None)
    heard = _Heard(client)

    for _ in range(5):
        client.server.books.skipped()
    first = await asyncio.wait_for(heard.energies.get(), 10)
    client.server.books.skipped()
    second = await asyncio.wait_for(heard.energies.get(), 10)

    assert (first["skipped"], second["skipped"]) == (5, 6)
    await client.server.stop()


async def test_what_a_request_has_cost_is_told_before_its_answer_is_sent(tmp_path: Path) -> None:
    client = InProcess(tmp_path / "ledger.sqlite3")
    await client.start(None)
    heard = _Heard(client)
    uri = "file:///a.py"
    document = {"uri": uri, "languageId": "python", "version": 1, "text": "x"}
    client.tell("textDocument/didOpen", {"textDocument": document})

    place = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 1}, "context": {"triggerKind": 1}}
    assert await client.ask("textDocument/inlineCompletion", place)

    [answer] = [at for at, message in enumerate(heard.messages) if "method" not in message]
    assert [message["params"]["requests"] for message in heard.messages[:answer] if _is_energy(message)] == [1]
    await client.server.stop()


def _is_energy(message: dict[str, Any]) -> bool:
    return message.get("method") == SESSION_ENERGY


class _Heard:
    """Keeps what a client is sent from now on, which gets it as well."""

    def __init__(self, client: InProcess) -> None:
        self._client = client
        self.messages: list[dict[str, Any]] = []
        self.energies = asyncio.Queue[dict[str, int]]()
        client.server.protocol.set_writer(self)

    def write(self, data: bytes) -> None:
        message = json.loads(data.partition(b"\r\n\r\n")[2])
        self.messages.append(message)
        if _is_energy(message):
            self.energies.put_nowait(message["params"])
        self._client.write(data)

    def close(self) -> None:
        """There is nothing to close."""
