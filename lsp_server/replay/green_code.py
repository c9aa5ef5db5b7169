"""`GreenCodeUnderTest`: the real server in a process of its own, spoken to as VS Code speaks to it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psutil

from engine.errors import EngineError
from lsp_server.protocol import DID_ACCEPT, RESET_SESSION, SESSION_ENERGY, STATUS
from lsp_server.replay.servers import Costs, Offer
from lsp_server.replay.stdio_client import StdioClient
from lsp_server.settings import SECTION

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

_LOAD_PATIENCE_S = 600.0
_REST_PATIENCE_S = 30.0
_REAL_SERVER = (sys.executable, "-I", "-m", "lsp_server.replay.serve")


class GreenCodeUnderTest:
    """One server process with its settings.

    Args:
        settings: As VS Code would send them.
        folder: For its ledger and its log.
        command: Starts it; the ledger's file is added.
    """

    def __init__(self, settings: Mapping[str, object], folder: Path, command: Sequence[str] = _REAL_SERVER) -> None:
        self._settings = settings
        self._ledger = folder / "ledger.sqlite3"
        self._log = folder / "server.log"
        self._command = command
        self._client = StdioClient(self._take_note)
        self._status: dict[str, Any] = {}
        self._session: dict[str, Any] = {}
        self._news = asyncio.Event()
        self._documents = 0
        self._version = 1
        self._text = ""
        self._cpu_s = 0.0

    async def start(self) -> None:
        """Starts the server and waits for its model.

        Raises:
            EngineError: It cannot answer; the reason in its own words.
        """
        await self._client.start([*self._command, str(self._ledger)], self._log)
        params = {
            "processId": os.getpid(),
            "rootUri": None,
            "capabilities": {},
            "initializationOptions": {SECTION: self._settings},
        }
        await self._client.request("initialize", params)
        self._client.notify("initialized", {})
        await self._until_rest(_LOAD_PATIENCE_S, loaded=True)

    async def stop(self) -> None:
        """Ends the server."""
        await self._client.stop()

    async def begin(self, language_id: str, text: str) -> None:
        """Opens a new document and begins a new session."""
        self._documents += 1
        self._version, self._text = 1, text
        document = {"uri": self._uri, "languageId": language_id, "version": 1, "text": text}
        self._client.notify("textDocument/didOpen", {"textDocument": document})
        self._session = await self._client.request(RESET_SESSION, None)
        self._cpu_s = self._process_cpu_s()

    def edit(self, offset: int, removed: int, text: str) -> None:
        """Sends the change."""
        self._version += 1
        change = {"range": {"start": self._position(offset), "end": self._position(offset + removed)}, "text": text}
        self._text = self._text[:offset] + text + self._text[offset + removed :]
        document = {"uri": self._uri, "version": self._version}
        self._client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})

    async def ask(self, offset: int) -> Offer | None:
        """Asks as after a key."""
        params = {
            "textDocument": {"uri": self._uri},
            "position": self._position(offset),
            "context": {"triggerKind": 2},
        }
        answer = await self._client.request("textDocument/inlineCompletion", params)
        if not answer or not answer["items"]:
            return None
        item = answer["items"][0]
        return Offer(text=item["insertText"], completion_id=item["command"]["arguments"][0])

    async def accepted(self, offer: Offer) -> None:
        """Runs the item's command."""
        arguments = [offer.completion_id, len(offer.text)]
        await self._client.request("workspace/executeCommand", {"command": DID_ACCEPT, "arguments": arguments})

    async def end(self, kept: Collection[str]) -> Costs:
        """Sums up the session; joules of single completions are from the ledger."""
        await self._until_rest(_REST_PATIENCE_S, loaded=False)
        cpu_s = self._process_cpu_s() - self._cpu_s
        self._client.notify("textDocument/didClose", {"textDocument": {"uri": self._uri}})
        session, by_completion = self._session, self._joules()
        wasted_j = [joules for name, joules in by_completion.items() if name not in kept]
        mean = session["meanExitLayer"]
        return Costs(
            cpu_s=cpu_s,
            energy_j=session["energyJ"] if session["requests"] else 0.0,
            provenance=session["provenance"],
            wasted_j=None if None in wasted_j else sum(filter(None, wasted_j)),
            computed=session["requests"],
            reused=session["reused"],
            cancelled=session["cancelled"],
            skipped=session["skipped"],
            tokens=session["tokens"],
            layers=None if mean is None else mean * session["tokens"],
        )

    @property
    def _uri(self) -> str:
        return f"untitled:bench-{self._documents}"

    def _position(self, offset: int) -> dict[str, int]:
        before = self._text[:offset]
        line_start = before.rfind("\n") + 1
        units = len(before[line_start:].encode("utf-16-le")) // 2
        return {"line": before.count("\n"), "character": units}

    def _process_cpu_s(self) -> float:
        times = psutil.Process(self._client.pid).cpu_times()
        return float(times.user + times.system)

    def _joules(self) -> dict[str, float | None]:
        with closing(sqlite3.connect(self._ledger)) as database:
            wanted = "SELECT id, energy_j FROM completion WHERE session_id = ?"
            return dict(database.execute(wanted, (self._session["sessionId"],)).fetchall())

    def _take_note(self, method: str, params: dict[str, Any]) -> None:
        if method == STATUS:
            self._status = params
        elif method == SESSION_ENERGY:
            self._session = params
        self._news.set()

    async def _until_rest(self, patience_s: float, *, loaded: bool) -> None:
        async def wait() -> None:
            while not self._status.get("quiescent") or (loaded and self._status.get("model") is None):
                if self._status.get("health") == "error":
                    raise EngineError(self._status["message"])
                self._news.clear()
                await self._news.wait()

        try:
            await asyncio.wait_for(wait(), patience_s)
        except asyncio.TimeoutError:
            raise EngineError(f"The server did not come to rest; its log is {self._log}.") from None
