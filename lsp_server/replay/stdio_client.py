"""`StdioClient`: JSON-RPC with a child process over its standard streams. It knows no LSP."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from typing import TYPE_CHECKING, Any

from engine.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_PATIENCE_S = 10.0


class StdioClient:
    """Owns one server process.

    Args:
        on_notification: Called with the method and the parameters of each notification.
    """

    def __init__(self, on_notification: Callable[[str, Any], None]) -> None:
        self._on_notification = on_notification
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None
        return self._process.pid

    async def start(self, command: Sequence[str], log: Path) -> None:
        """Starts the server; what it says on stderr goes to a file."""
        with log.open("wb") as stderr:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=stderr
            )
        self._reading = asyncio.create_task(self._read())

    async def request(self, method: str, params: object) -> Any:  # noqa: ANN401 - any JSON
        """Waits for an answer; None stands for an error, too. Cancelling this cancels the request.

        Raises:
            EngineError: The server has ended.
        """
        if self._reading is None or self._reading.done():
            raise EngineError("The server has ended; it can answer no more.")
        number = next(self._ids)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self._send({"id": number, "method": method, "params": params})
        try:
            return await answer
        except asyncio.CancelledError:
            self.notify("$/cancelRequest", {"id": number})
            raise

    def notify(self, method: str, params: object) -> None:
        """Sends a notification."""
        self._send({"method": method, "params": params})

    async def stop(self) -> None:
        """Ends the server, gently if it listens."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _PATIENCE_S)
        except asyncio.TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._reading is not None:
            await self._reading

    def _send(self, message: Mapping[str, object]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        stdout = self._process.stdout
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = await stdout.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split()[0])
                self._handle(json.loads(await stdout.readexactly(length)))
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(EngineError("The server ended before it answered."))

    def _handle(self, message: dict[str, Any]) -> None:
        if "method" in message:
            if "id" not in message:
                self._on_notification(message["method"], message.get("params"))
            return
        answer = self._answers.pop(message["id"], None)
        if answer is not None and not answer.done():
            answer.set_result(message.get("result"))
