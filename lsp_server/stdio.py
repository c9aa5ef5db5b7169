"""`serve_stdio`: runs one server on this process's standard streams until its client is gone.

Everything that is the process's own is here: the streams, the log, signals, the parent. It handles no message. Once the
client is gone, the process is soon gone too, whatever is under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from lsprotocol import types

from lsp_server.framing import FramingError, read_bodies
from lsp_server.outbox import Outbox

if TYPE_CHECKING:
    from lsp_server.language_server import GreenCodeServer

logger = logging.getLogger(__name__)

HANDSHAKE_PERIOD_S = 2.0  # between two looks whether the client has named itself
FLUSH_LIMIT_S = 1.0  # for the last messages, once the end has begun
END_LIMIT_S = 5.0  # from the end of the input on, be the event loop or a thread of git's busy
_READ_BYTES = 1 << 16
_LOGGED = ("engine", "lsp_server")


def serve_stdio(server: GreenCodeServer) -> int:
    """Serves until the client says exit, closes the pipe or dies, or the process is told to end.

    Returns:
        The exit code: 0 after a proper end, 1 when the client vanished without one.
    """
    stdin_fd, stdout_fd = _take_streams()
    stderr_log = logging.StreamHandler(sys.stderr)
    stderr_log.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    stderr_log.setLevel(logging.WARNING)  # what is less severe goes to the client's log alone
    logging.getLogger().addHandler(stderr_log)
    logging.getLogger("pygls").setLevel(logging.ERROR)  # its INFO has whole messages, with code in them
    exit_code, is_idle = asyncio.run(_serve(server, stdin_fd, stdout_fd))
    if not is_idle:
        # The engine thread is inside a load, or the client does not read; the interpreter would wait for their end.
        logging.shutdown()
        os._exit(exit_code)
    return exit_code


async def _serve(server: GreenCodeServer, stdin_fd: int, stdout_fd: int) -> tuple[int, bool]:
    """Serves until the input ends; gives the exit code, and whether nothing holds the process up."""
    loop = asyncio.get_running_loop()
    stdin = _Stdin(loop, stdin_fd)
    stdout = Outbox(stdout_fd, stdin.give_up)
    server.protocol.set_writer(stdout)
    ended_properly = threading.Event()

    def end() -> None:
        ended_properly.set()
        stdin.close()

    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, RuntimeError):  # Windows; not the main thread
            loop.add_signal_handler(number, end)
    watch = asyncio.create_task(_watch_client(server, stdin))
    log = _ClientLog(server, loop)
    for name in _LOGGED:
        logging.getLogger(name).addHandler(log)
    try:
        await _read(server, stdin.reader)
    except SystemExit as exit_:  # pygls' way to handle `exit`
        exit_code = 0 if server.protocol.is_told_to_end else int(exit_.code or 0)  # it may come in the same breath
    except EOFError:
        exit_code = 1
    except FramingError as error:
        logger.error("The editor's messages cannot be read any more: %s.", error)  # noqa: TRY400 - a trace says no more
        exit_code = 1
    else:
        exit_code = 0 if ended_properly.is_set() or server.is_stopped else 1
    finally:
        watch.cancel()
        for name in _LOGGED:
            logging.getLogger(name).removeHandler(log)
    _end_without_fail(exit_code)
    is_idle = await server.stop()
    return exit_code, await asyncio.to_thread(stdout.flush, FLUSH_LIMIT_S) and is_idle


async def _read(server: GreenCodeServer, reader: asyncio.StreamReader) -> None:
    """Hands every message to the server; what one of them does wrong, the next must not suffer."""
    async for body in read_bodies(reader):
        try:
            server.protocol.receive(body)
        except Exception:
            logger.exception("A message could not be handled")


def _take_streams() -> tuple[int, int]:
    """Keeps stdin and stdout for the protocol; prints and child processes get stderr and an empty input."""
    stdin_fd, stdout_fd = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return stdin_fd, stdout_fd


async def _watch_client(server: GreenCodeServer, stdin: _Stdin) -> None:
    """Ends the input when the client's process is gone."""
    while (client := server.client_process) is None:
        await asyncio.sleep(HANDSHAKE_PERIOD_S)
    await client.end()
    stdin.give_up()


def _end_without_fail(exit_code: int) -> None:
    """Ends the process after a while, whatever its threads do."""
    timer = threading.Timer(END_LIMIT_S, os._exit, (exit_code,))
    timer.daemon = True
    timer.start()


class _Stdin:
    """Feeds stdin to the event loop from a daemon thread, which a blocked read cannot keep alive."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int) -> None:
        self.reader = asyncio.StreamReader(loop=loop)
        self._loop = loop
        self._fd = fd
        self._closed = False
        threading.Thread(target=self._pump, name="stdin", daemon=True).start()

    def close(self) -> None:
        """Ends the input behind what has come; the loop's thread only."""
        self._feed(b"")

    def give_up(self) -> None:
        """Ends the input at once, from any thread: nobody is there to read an answer."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self.reader.set_exception, EOFError())

    def _feed(self, data: bytes) -> None:
        if self._closed:
            return
        if data:
            self.reader.feed_data(data)
        else:
            self._closed = True
            self.reader.feed_eof()

    def _pump(self) -> None:
        data = b"?"
        while data:
            try:
                data = os.read(self._fd, _READ_BYTES)
            except OSError:
                data = b""
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody reads any more
                self._loop.call_soon_threadsafe(self._feed, data)
        _end_without_fail(1)


class _ClientLog(logging.Handler):
    """Shows records in the client's log, without their traces."""

    def __init__(self, server: GreenCodeServer, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._server = server
        self._loop = loop

    def emit(self, record: logging.LogRecord) -> None:
        """Sends the record from the event loop's thread: two threads would mix their messages."""
        params = types.LogMessageParams(type=_kind(record.levelno), message=record.getMessage())
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._send, params)

    def _send(self, params: types.LogMessageParams) -> None:
        if self._server.is_talking:
            self._server.window_log_message(params)


def _kind(level: int) -> types.MessageType:
    if level >= logging.ERROR:
        return types.MessageType.Error
    if level >= logging.WARNING:
        return types.MessageType.Warning
    return types.MessageType.Info if level >= logging.INFO else types.MessageType.Log
