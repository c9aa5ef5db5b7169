"""A language client for tests: pytest-lsp's, which also keeps our own messages and can send malformed ones."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pytest
from lsprotocol import types
from pygls.protocol import default_converter
from pytest_lsp.client import LanguageClient, register_lsp_features

from lsp_server.jsonrpc import make_converter
from lsp_server.protocol import NOT_OFFERED, SESSION_ENERGY, STATUS, NotOffered, SessionEnergy, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0
URI = "file:///project/a.py"
BOTH_WAYS = pytest.mark.parametrize("engine_is", ["alone", "shared"])
T = TypeVar("T")
_CONVERTER = make_converter()


EVERYWHERE: dict[str, object] = {"skipUnlikely": False}
"""The tests ask at places where hardly anybody would keep a suggestion."""


class Inbox(Generic[T]):
    """The messages of one kind, in the order they came."""

    def __init__(self) -> None:
        self.messages: list[T] = []
        self._news = asyncio.Event()

    def put(self, message: T) -> None:
        """Keeps a message."""
        self.messages.append(message)
        self._news.set()

    async def newest(self, wanted: Callable[[T], bool]) -> T:
        """Waits until the newest message is as wanted."""
        try:
            return await asyncio.wait_for(self._wait(wanted), PATIENCE_S)
        except asyncio.TimeoutError:
            raise AssertionError(f"it never came; the newest of {len(self.messages)} is {self.messages[-1:]}") from None

    async def _wait(self, wanted: Callable[[T], bool]) -> T:
        while not (self.messages and wanted(self.messages[-1])):
            self._news.clear()
            await self._news.wait()
        return self.messages[-1]


class Client(LanguageClient):
    """Keeps the statuses and energies it is told."""

    def __init__(self) -> None:
        super().__init__(converter_factory=default_converter)
        register_lsp_features(self)
        self.statuses = Inbox[Status]()
        self.energies = Inbox[SessionEnergy]()
        self.hints = Inbox[str]()
        self._next_id = 0
        self._version = 1
        # pygls hands over a named tuple for messages it does not know
        self.feature(STATUS)(lambda params: self.statuses.put(_CONVERTER.structure(params._asdict(), Status)))
        self.feature(NOT_OFFERED)(
            lambda params: self.hints.put(_CONVERTER.structure(params._asdict(), NotOffered).message)
        )
        self.feature(SESSION_ENERGY)(
            lambda params: self.energies.put(_CONVERTER.structure(params._asdict(), SessionEnergy))
        )

    async def status(self, wanted: Callable[[Status], bool]) -> Status:
        """Waits until the newest status is as wanted."""
        return await self.statuses.newest(wanted)

    async def energy(self, wanted: Callable[[SessionEnergy], bool]) -> SessionEnergy:
        """Waits until the newest session energy is as wanted."""
        return await self.energies.newest(wanted)

    async def ready(self) -> Status:
        """Waits until the engine is loaded."""
        return await self.status(lambda status: status.model is not None and status.quiescent)

    def open(self, text: str, *, uri: str = URI, language_id: str = "python") -> None:
        """Opens a document."""
        item = types.TextDocumentItem(uri=uri, language_id=language_id, version=1, text=text)
        self.text_document_did_open(types.DidOpenTextDocumentParams(text_document=item))

    def type(self, line: int, character: int, text: str, *, uri: str = URI) -> None:
        """Inserts a text."""
        self._replace(line, character, 0, text, uri)

    def delete(self, line: int, character: int, length: int, *, uri: str = URI) -> None:
        """Takes characters of a line away."""
        self._replace(line, character, length, "", uri)

    async def complete(
        self, line: int, character: int, *, uri: str = URI, invoked: bool = False
    ) -> types.InlineCompletionItem | None:
        """Asks for a completion as a typing user does, or by hand; the only item, or None."""
        params = completion_params(line, character, uri=uri)
        if invoked:
            params.context.trigger_kind = types.InlineCompletionTriggerKind.Invoked
        answer = await self.text_document_inline_completion_async(params)
        if answer is None:
            return None
        items = answer.items if isinstance(answer, types.InlineCompletionList) else answer
        assert len(items) <= 1
        return items[0] if items else None

    def change_settings(self, settings: dict[str, object]) -> None:
        """Pushes settings as VS Code does, beside those of `EVERYWHERE`."""
        params = types.DidChangeConfigurationParams(settings={"greenCode": EVERYWHERE | settings})
        self.workspace_did_change_configuration(params)

    async def request(self, method: str, **message: object) -> Any:  # noqa: ANN401 - any JSON
        """Sends a request exactly as given, and waits for its result."""
        self._next_id += 1
        msg_id = f"raw-{self._next_id}"
        answer: Future[Any] = Future()
        self.protocol._request_futures[msg_id] = answer
        self.send(json.dumps({"jsonrpc": "2.0", "id": msg_id, "method": method, **message}))
        return await asyncio.wait_for(asyncio.wrap_future(answer), PATIENCE_S)

    def send(self, body: str) -> None:
        """Sends any body in a proper frame."""
        self.write(b"Content-Length: %d\r\n\r\n%s" % (len(body.encode()), body.encode()))

    def send_raw(self, method: str, params: object) -> None:
        """Sends a notification exactly as given."""
        self.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}))

    def write(self, data: bytes) -> None:
        """Sends any bytes."""
        assert self.server_process.stdin is not None
        self.server_process.stdin.write(data)

    def disconnect(self) -> None:
        """Closes the server's input, as a client that dies does."""
        assert self.server_process.stdin is not None
        self.server_process.stdin.close()

    def _replace(self, line: int, character: int, length: int, text: str, uri: str) -> None:
        self._version += 1
        replaced = types.Range(types.Position(line, character), types.Position(line, character + length))
        self.text_document_did_change(
            types.DidChangeTextDocumentParams(
                text_document=types.VersionedTextDocumentIdentifier(uri=uri, version=self._version),
                content_changes=[types.TextDocumentContentChangePartial(range=replaced, text=text)],
            )
        )

    @property
    def server_process(self) -> asyncio.subprocess.Process:
        """The server's process."""
        assert self._server is not None
        return self._server


def completion_params(line: int, character: int, *, uri: str = URI) -> types.InlineCompletionParams:
    """What VS Code sends while a person types."""
    return types.InlineCompletionParams(
        text_document=types.TextDocumentIdentifier(uri=uri),
        position=types.Position(line=line, character=character),
        context=types.InlineCompletionContext(trigger_kind=types.InlineCompletionTriggerKind.Automatic),
    )


@asynccontextmanager
async def started(*command: str, cwd: Path = ROOT) -> AsyncIterator[Client]:
    """Starts a server process and connects; ends it, gently if it still listens."""
    client = Client()
    await client.start_io(*command, cwd=cwd)
    try:
        yield client
    finally:
        if client.server_process.returncode is None:
            client.disconnect()
            try:
                await asyncio.wait_for(client.server_process.wait(), PATIENCE_S)
            except asyncio.TimeoutError:
                client.server_process.kill()
                raise
        await client.stop()  # type: ignore[no-untyped-call] # pytest-lsp has no annotation there


def fake_server(ledger: Path, meeting: Path | None = None) -> tuple[str, ...]:
    """The command of a server with a fake engine, which it shares with those that meet in the same folder."""
    shares = () if meeting is None else ("--meet", str(meeting))
    return (sys.executable, "-m", "tests.lsp_server.fake_server", str(ledger), *shares)


def capabilities(
    *, pulls: bool = False, registers: bool = False, shows_progress: bool = False
) -> types.ClientCapabilities:
    """A client that has only what is named."""
    return types.ClientCapabilities(
        workspace=types.WorkspaceClientCapabilities(
            configuration=pulls,
            did_change_configuration=types.DidChangeConfigurationClientCapabilities(dynamic_registration=registers),
        ),
        window=types.WindowClientCapabilities(work_done_progress=shows_progress),
    )


async def initialize(
    client: Client,
    settings: dict[str, object] | None = None,
    client_capabilities: types.ClientCapabilities | None = None,
    *,
    locale: str | None = None,
    folder: Path | None = None,
) -> types.InitializeResult:
    """Shakes hands, with the settings, and those of `EVERYWHERE`, as initialization options."""
    return await client.initialize_session(
        types.InitializeParams(
            capabilities=client_capabilities or capabilities(),
            initialization_options=EVERYWHERE | (settings or {}),
            process_id=os.getpid(),
            locale=locale,
            root_uri=None if folder is None else folder.as_uri(),
        )
    )
