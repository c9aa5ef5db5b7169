"""`InProcess`: a server in this process around a fake engine, and its client."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from lsp_server.handlers import create_server
from tests.fakes import FakeEngine
from tests.lsp_server.client import EVERYWHERE

if TYPE_CHECKING:
    from pathlib import Path


class InProcess:
    """A server in this process, whose engine is loaded, for a client that counts in certain units."""

    def __init__(self, ledger: Path) -> None:
        self.engine = FakeEngine()
        self.server = create_server(lambda _config, _progress: self.engine, ledger_path=ledger)
        self.server.protocol.set_writer(self)
        self._answers: dict[object, Any] = {}
        self._n_asked = 0

    def write(self, data: bytes) -> None:
        """Keeps an answer."""
        message = json.loads(data.partition(b"\r\n\r\n")[2])
        if "method" not in message:
            self._answers[message["id"]] = message.get("result")

    def close(self) -> None:
        """There is nothing to close."""

    def tell(self, method: str, params: dict[str, Any], **request_id: object) -> None:
        """Sends a message, a request where it has an id."""
        body = {"jsonrpc": "2.0", "method": method, "params": params, **request_id}
        self.server.protocol.receive(json.dumps(body).encode())

    async def ask(self, method: str, params: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        """Sends a request and waits for its result."""
        self._n_asked += 1
        self.tell(method, params, id=self._n_asked)
        while self._n_asked not in self._answers:
            await asyncio.sleep(0)
        return self._answers.pop(self._n_asked)

    async def start(self, encodings: list[str] | None) -> str:
        """The encoding that is agreed on."""
        general = {} if encodings is None else {"general": {"positionEncodings": encodings}}
        params = {"processId": None, "capabilities": general, "initializationOptions": EVERYWHERE}
        result = await self.ask("initialize", params)
        self.tell("initialized", {})
        while self.server.state.engine is None:
            await asyncio.sleep(0.001)
        return str(result["capabilities"]["positionEncoding"])
