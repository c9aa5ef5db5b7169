"""The client says in which units it counts; edits and suggestions keep to them, beyond the basic plane too."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from lsp_server.handlers import create_server
from tests.fakes import FakeEngine
from tests.lsp_server.client import EVERYWHERE

URI = "untitled:a"
LINE = "é = '😀𐀀e\u0301日'; "
UNITS = {"utf-8": len(LINE.encode()), "utf-16": len(LINE.encode("utf-16-le")) // 2, "utf-32": len(LINE)}


class InProcess:
    """A server in this process, whose engine is loaded, for a client that counts in certain units."""

    def __init__(self, ledger: Path) -> None:
        self.engine = FakeEngine()
        self.server = create_server(lambda _config, _progress: self.engine, ledger_path=ledger)
        self.server.protocol.set_writer(self)
        self._answers: dict[object, Any] = {}

    def write(self, data: bytes) -> None:
        message = json.loads(data.partition(b"\r\n\r\n")[2])
        self._answers[message.get("id")] = message.get("result")

    def close(self) -> None:
        """There is nothing to close."""

    def tell(self, method: str, params: dict[str, Any], **request_id: object) -> None:
        body = {"jsonrpc": "2.0", "method": method, "params": params, **request_id}
        self.server.protocol.receive(json.dumps(body).encode())

    async def ask(self, method: str, params: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        request_id = f"{method} {len(self._answers)}"
        self.tell(method, params, id=request_id)
        while request_id not in self._answers:
            await asyncio.sleep(0.001)
        return self._answers[request_id]

    async def start(self, encodings: list[str] | None) -> str:
        """The encoding that is agreed on."""
        general = {} if encodings is None else {"general": {"positionEncodings": encodings}}
        params = {"processId": None, "capabilities": general, "initializationOptions": EVERYWHERE}
        result = await self.ask("initialize", params)
        self.tell("initialized", {})
        while self.server.state.engine is None:
            await asyncio.sleep(0.001)
        return str(result["capabilities"]["positionEncoding"])


@pytest.mark.parametrize(
    ("encodings", "agreed"),
    [
        (None, "utf-16"),
        (["utf-16"], "utf-16"),
        (["utf-8", "utf-16"], "utf-8"),
        (["utf-32", "utf-16"], "utf-32"),
        (["utf-7", "utf-16"], "utf-16"),
    ],
)
async def test_positions_are_in_the_units_that_the_client_prefers(
    tmp_path: Path, encodings: list[str] | None, agreed: str
) -> None:
    client = InProcess(tmp_path / "ledger.sqlite3")
    assert await client.start(encodings) == agreed
    item = {"uri": URI, "languageId": "python", "version": 1, "text": f"# 😀\r\n{LINE}z"}
    client.tell("textDocument/didOpen", {"textDocument": item})
    at = {"line": 1, "character": UNITS[agreed]}
    behind = {"line": 1, "character": UNITS[agreed] + 1}

    edit = {"range": {"start": at, "end": behind}, "text": "x"}
    client.tell("textDocument/didChange", {"textDocument": {"uri": URI, "version": 2}, "contentChanges": [edit]})
    question = {"textDocument": {"uri": URI}, "position": behind, "context": {"triggerKind": 1}}
    answer = await client.ask("textDocument/inlineCompletion", question)

    assert client.engine.requests[-1].prefix == f"# 😀\n{LINE}x"
    assert answer["items"][0]["range"] == {"start": behind, "end": behind}
    await client.server.stop()
