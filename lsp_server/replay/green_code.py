"""`GreenCodeUnderTest`: the real server in a process of its own, spoken to as VS Code speaks to it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import psutil
from lsprotocol import types

from engine.errors import EngineError
from lsp_server.protocol import DID_ACCEPT
from lsp_server.replay.server_process import ServerProcess
from lsp_server.replay.servers import Costs, Offer
from lsp_server.settings_entries import SECTION

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from lsp_server.protocol import SessionEnergy, Status

_LOAD_PATIENCE_S = 600.0
_REST_PATIENCE_S = 30.0
_BOOKS_ARE_TOLD_S = 1.5  # a server tells together what it booked within a second


class GreenCodeUnderTest:
    """One server process with its settings.

    Args:
        settings: As VS Code would send them.
        folder: For its ledger and its log.
        command: Starts it; the ledger's file is added.
        workspace: The folders that it is opened in.
    """

    def __init__(
        self,
        settings: Mapping[str, object],
        folder: Path,
        command: Sequence[str],
        workspace: Sequence[Path] = (),
    ) -> None:
        self._settings, self._folders = settings, workspace
        self._uri = ""
        self._ledger = folder / "ledger.sqlite3"
        self._log = folder / "server.log"
        self._command = command
        self._client = ServerProcess(self._take_status, self._take_session)
        self._status: Status | None = None
        self._session: SessionEnergy | None = None
        self._news = asyncio.Event()
        self._documents = 0
        self._version = 1
        self._text = ""
        self._cpu_s = 0.0

    @property
    def process_id(self) -> int:
        """The server's process."""
        return self._client.pid

    @property
    def status(self) -> Status | None:
        """What it said last of itself; None before it said anything."""
        return self._status

    @property
    def session(self) -> SessionEnergy | None:
        """What the document that was begun last has cost so far; None before one was."""
        return self._session

    async def start(self) -> None:
        """Starts the server and waits for its model.

        Raises:
            EngineError: It cannot answer; the reason in its own words.
        """
        command = [*self._command, str(self._ledger)]
        await self._client.start(command, self._log, {SECTION: self._settings}, self._folders)
        await self._until_rest(_LOAD_PATIENCE_S, loaded=True)

    async def stop(self) -> None:
        """Ends the server."""
        await self._client.end()

    async def begin(self, language_id: str, text: str, path: Path | None = None) -> None:
        """Opens a new document and begins a new session, once it has read the project."""
        self._documents += 1
        self._uri = f"untitled:bench-{self._documents}" if path is None else path.as_uri()
        self._version, self._text = 1, text
        document = types.TextDocumentItem(uri=self._uri, language_id=language_id, version=1, text=text)
        self._client.tell(types.TEXT_DOCUMENT_DID_OPEN, types.DidOpenTextDocumentParams(text_document=document))
        await self._client.reset_session()  # answered behind what opening has begun
        await self._until_rest(_LOAD_PATIENCE_S, loaded=False)
        self._session = await self._client.reset_session()
        self._cpu_s = self._process_cpu_s()

    def edit(self, offset: int, removed: int, text: str) -> None:
        """Sends the change."""
        self._version += 1
        replaced = types.Range(start=self._position(offset), end=self._position(offset + removed))
        change = types.TextDocumentContentChangePartial(range=replaced, text=text)
        self._text = self._text[:offset] + text + self._text[offset + removed :]
        document = types.VersionedTextDocumentIdentifier(uri=self._uri, version=self._version)
        self._client.tell(
            types.TEXT_DOCUMENT_DID_CHANGE,
            types.DidChangeTextDocumentParams(text_document=document, content_changes=[change]),
        )

    async def ask(self, offset: int) -> Offer | None:
        """Asks as after a key."""
        params = types.InlineCompletionParams(
            text_document=types.TextDocumentIdentifier(uri=self._uri),
            position=self._position(offset),
            context=types.InlineCompletionContext(trigger_kind=types.InlineCompletionTriggerKind.Automatic),
        )
        answer = await self._client.ask(types.TEXT_DOCUMENT_INLINE_COMPLETION, params)
        if answer is None or not answer.items:
            return None
        item = answer.items[0]
        return Offer(text=item.insert_text, completion_id=item.command.arguments[0])

    async def accepted(self, offer: Offer) -> None:
        """Runs the item's command."""
        arguments: list[object] = [offer.completion_id, len(offer.text)]
        params = types.ExecuteCommandParams(command=DID_ACCEPT, arguments=arguments)
        await self._client.ask(types.WORKSPACE_EXECUTE_COMMAND, params)

    async def end(self, kept: Collection[str]) -> Costs:
        """Sums up the session; joules of single completions are from the ledger."""
        await self._until_rest(_REST_PATIENCE_S, loaded=False)
        await asyncio.sleep(_BOOKS_ARE_TOLD_S)
        cpu_s = self._process_cpu_s() - self._cpu_s
        document = types.TextDocumentIdentifier(uri=self._uri)
        self._client.tell(types.TEXT_DOCUMENT_DID_CLOSE, types.DidCloseTextDocumentParams(text_document=document))
        session = self._session
        assert session is not None, "nothing was begun"
        by_completion = self._joules(session.session_id)
        wasted_j = [joules for name, joules in by_completion.items() if name not in kept]
        mean = session.mean_exit_layer
        return Costs(
            cpu_s=cpu_s,
            energy_j=session.energy_j if session.requests else 0.0,
            provenance=session.provenance,
            wasted_j=None if None in wasted_j else sum(filter(None, wasted_j)),
            computed=session.requests,
            reused=session.reused,
            cancelled=session.cancelled,
            skipped=session.skipped,
            tokens=session.tokens,
            layers=None if mean is None else mean * session.tokens,
        )

    def _position(self, offset: int) -> types.Position:
        before = self._text[:offset]
        line_start = before.rfind("\n") + 1
        units = len(before[line_start:].encode("utf-16-le")) // 2
        return types.Position(line=before.count("\n"), character=units)

    def _process_cpu_s(self) -> float:
        times = psutil.Process(self._client.pid).cpu_times()
        return float(times.user + times.system)

    def _joules(self, session_id: str) -> dict[str, float | None]:
        with closing(sqlite3.connect(self._ledger)) as database:
            wanted = "SELECT id, energy_j FROM completion WHERE session_id = ?"
            return dict(database.execute(wanted, (session_id,)).fetchall())

    def _take_status(self, status: Status) -> None:
        self._status = status
        self._news.set()

    def _take_session(self, session: SessionEnergy) -> None:
        self._session = session

    async def _until_rest(self, patience_s: float, *, loaded: bool) -> None:
        async def wait() -> None:
            while (status := self._status) is None or not status.quiescent or (loaded and status.model is None):
                if status is not None and status.health == "error":
                    raise EngineError(status.message)
                self._news.clear()
                await self._news.wait()

        try:
            await asyncio.wait_for(wait(), patience_s)
        except asyncio.TimeoutError:
            raise EngineError(f"The server did not come to rest{self._last_words()}") from None

    def _last_words(self) -> str:
        """The end of its log, which is deleted with its folder, to end a sentence with."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines() if self._log.exists() else []
        return f"; its last words: {lines[-1]}" if lines else ", and has said nothing."
