"""`Link`: messages both ways over one local connection, none of which waits for whoever reads at the other end.

The connection and its frames are `multiprocessing.connection`'s, for a Unix domain socket or a named pipe. It knows no
message's meaning.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from engine.service.wire import packed, unpacked

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from engine.service.wire import Message

MOST_BYTES = 256 << 20  # of a message; a document of 20 MB has at most half of it
_BREATH_S = 0.05
_AT_ONCE_BYTES = 16 << 10  # of a message, to be written in one go; Linux tells of room for three quarters of 200 kB

if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    def _hang_up(connection: Connection, writing: threading.Lock) -> None:
        # Who writes is stopped before it is closed; who reads sees that it is.
        while not writing.acquire(timeout=_BREATH_S):
            ctypes.windll.kernel32.CancelIoEx(wintypes.HANDLE(connection.fileno()), None)
        with contextlib.suppress(OSError):
            connection.close()
        writing.release()

else:

    def _hang_up(connection: Connection, writing: threading.Lock) -> None:
        # To close what another thread reads would leave it reading for ever.
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)


def _room(connection: Connection) -> select.poll | None:
    """Tells whether there is room to write; None where a system does not tell of how much."""
    if sys.platform != "linux":
        return None
    room = select.poll()
    room.register(connection.fileno(), select.POLLOUT)
    return room


class Link:
    """One end. `receive` is for one thread; everything else for any."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._writing = threading.Lock()
        self._posting = threading.Lock()  # nobody waits while holding it
        self._n_waiting = 0
        self._room = _room(connection)
        # The number of a closed connection may soon be another's, or a file's: nobody may be about to write to it.
        self._ending = threading.Lock()
        self._pumping = threading.Thread(target=self._pump, name="link", daemon=True)
        self._pumping.start()

    @property
    def n_waiting(self) -> int:
        """How many posted messages have not been written."""
        return self._n_waiting

    def send(self, message: Message) -> None:
        """Writes a message here and now; that the other end is gone shows in `receive`."""
        with self._writing, contextlib.suppress(OSError, ValueError):
            self._connection.send_bytes(packed(message))

    def post(self, message: Message) -> None:
        """Writes a message soon, behind what was posted before; never waits.

        Where there is room it is written at once: to wake another thread for it takes the time of some tokens' texts.
        Once the connection has ended it is dropped.
        """
        data = packed(message)
        with self._posting:
            if (self._n_waiting or not self._is_written_at_once(data)) and self._pumping.is_alive():
                self._n_waiting += 1
                self._waiting.put(data)

    def receive(self) -> Message | None:
        """Waits for the next message; None once there will be no more, or none that could be read."""
        try:
            return unpacked(self._connection.recv_bytes(MOST_BYTES))
        except (EOFError, OSError, ValueError, RecursionError):
            self._waiting.put(None)
            self._hang_up_once()  # now who writes waits for the other end no longer
            with self._ending, self._writing:  # in this order, as on Windows below
                self._connection.close()
            return None

    def close(self) -> None:
        """Ends the connection behind what was posted; both ends' `receive` tell."""
        self._waiting.put(None)

    def wait_until_closed(self, timeout_s: float) -> None:
        """Waits, behind `close`, until what was posted is written, or nobody will read it; no longer than that."""
        self._pumping.join(timeout_s)

    def _pump(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads any more
            while (data := self._waiting.get()) is not None:
                with self._writing:
                    self._connection.send_bytes(data)
                with self._posting:
                    self._n_waiting -= 1
        self._hang_up_once()

    def _is_written_at_once(self, data: bytes) -> bool:
        if self._room is None or len(data) > _AT_ONCE_BYTES or not self._writing.acquire(blocking=False):
            return False
        try:
            if not any(event & select.POLLOUT for _, event in self._room.poll(0)):
                return False
            self._connection.send_bytes(data)
        except (OSError, ValueError):  # nobody reads any more, as the thread that pumps will see
            return False
        else:
            return True
        finally:
            self._writing.release()

    def _hang_up_once(self) -> None:
        with self._ending:
            if not self._connection.closed:
                _hang_up(self._connection, self._writing)
