"""`ServerProcess`: our language server as a child process, spoken to with pygls' own client. It knows no document."""

from __future__ import annotations

import asyncio
import os
import uuid
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient

from engine.errors import EngineError
from lsp_server.jsonrpc import make_converter
from lsp_server.protocol import RESET_SESSION, SESSION_ENERGY, STATUS, SessionEnergy, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_Record = TypeVar("_Record", Status, SessionEnergy)

_PATIENCE_S = 10.0


class ServerProcess(LanguageClient):
    """Owns one server process.

    Args:
        on_status: Called with each status.
        on_energy: Called with each state of the session.
    """

    def __init__(self, on_status: Callable[[Status], None], on_energy: Callable[[SessionEnergy], None]) -> None:
        super().__init__("green-code-replay", "1", converter_factory=make_converter)
        self._records = make_converter()
        self._untold = {record: self._records.unstructure(_nothing_of(record)) for record in (Status, SessionEnergy)}
        # pygls hands over a named tuple for messages that it does not know.
        self.feature(STATUS)(lambda params: on_status(self._read(params._asdict(), Status)))
        self.feature(SESSION_ENERGY)(lambda params: on_energy(self._read(params._asdict(), SessionEnergy)))
        self.feature(types.WINDOW_LOG_MESSAGE)(_ignore)
        self.feature(types.WINDOW_SHOW_MESSAGE)(_ignore)
        self._log: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    async def start(
        self, command: Sequence[str], log: Path, options: Mapping[str, object], workspace: Sequence[Path] = ()
    ) -> None:
        """Starts the server and shakes hands.

        Args:
            command: Starts it.
            log: The file for what it says on stderr.
            options: Its initialization options.
            workspace: The folders of its workspace.

        Raises:
            EngineError: It ended or refused.
        """
        await self.start_io(*command)
        self._log = asyncio.create_task(self._keep_log(log))
        params = types.InitializeParams(
            process_id=os.getpid(),
            capabilities=types.ClientCapabilities(),
            initialization_options=options,
            workspace_folders=[types.WorkspaceFolder(uri=folder.as_uri(), name=folder.name) for folder in workspace],
        )
        await self.ask(types.INITIALIZE, params)
        self.initialized(types.InitializedParams())

    async def ask(self, method: str, params: object) -> Any:  # noqa: ANN401 - each method has a result of its own
        """Waits for the result of a request. Cancelling this cancels the request as an editor does.

        Raises:
            EngineError: The server answered with an error, or has ended.
        """
        self._check_alive()
        number = str(uuid.uuid4())
        answer = asyncio.wrap_future(self.protocol.send_request(method, params, msg_id=number))
        try:
            return await asyncio.shield(answer)  # pygls must find it alive when the server answers all the same
        except asyncio.CancelledError:
            answer.add_done_callback(_forget)
            self.cancel_request(types.CancelParams(id=number))
            raise
        except JsonRpcException as error:
            raise EngineError(f"The server answered {method} with an error: {error.message}") from error
        except RuntimeError as error:
            raise EngineError("The server ended before it answered.") from error

    def tell(self, method: str, params: object) -> None:
        """Sends a notification.

        Raises:
            EngineError: The server has ended.
        """
        self._check_alive()
        self.protocol.notify(method, params)

    async def reset_session(self) -> SessionEnergy:
        """Begins a new session."""
        answer = await self.ask(RESET_SESSION, None)
        return self._read(answer._asdict(), SessionEnergy)

    def _read(self, told: Mapping[str, object], record: type[_Record]) -> _Record:
        """A record as it was told; other builds do not know each of its fields."""
        return self._records.structure(self._untold[record] | told, record)

    async def end(self) -> None:
        """Ends the server, gently if it listens."""
        if self._server is None:
            return
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _PATIENCE_S)
        except asyncio.TimeoutError:
            self._process.kill()
        await self.stop()  # type: ignore[no-untyped-call] # pygls has no annotation there
        if self._log is not None:
            await self._log

    def _check_alive(self) -> None:
        if self.stopped:
            raise EngineError("The server has ended; it can answer no more.")

    @property
    def _process(self) -> asyncio.subprocess.Process:
        assert self._server is not None, "it has not been started"
        return self._server

    async def _keep_log(self, log: Path) -> None:
        stderr = self._process.stderr
        assert stderr is not None
        with log.open("wb") as file:
            async for line in stderr:
                file.write(line)


def _nothing_of(record: Callable[..., Any]) -> object:
    """A record of which nothing was told."""
    return record(**{name: _nothing(kind) for name, kind in get_type_hints(record).items()})


def _nothing(kind: Any) -> Any:  # noqa: ANN401 - a type, or a form of typing
    """What stands for a field that was not told: None where that may be, the first of some words, nothing of others."""
    alternatives = get_args(kind)
    if get_origin(kind) is Literal:
        return alternatives[0]
    return None if NoneType in alternatives else (get_origin(kind) or kind)()


def _ignore(_params: object) -> None:
    """The person who types sees no messages."""


def _forget(answer: asyncio.Future[Any]) -> None:
    """Takes note of how a request ended that nobody waits for any more; asyncio would print its error."""
    if not answer.cancelled():
        answer.exception()
