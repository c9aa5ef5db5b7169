"""`Link`: messages both ways over one local connection, none of which waits for whoever reads at the other end.

The connection and its frames are `multiprocessing.connection`'s, for a Unix domain socket or a named pipe. It knows no
message's meaning.
"""

from __future__ import annotations

import contextlib
import os
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

if sys.platform == "win32":

    def _hang_up(connection: Connection) -> None:
        connection.close()

else:

    def _hang_up(connection: Connection) -> None:
        # To close what another thread reads would leave it reading for ever.
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)


class Link:
    """One end. `receive` is for one thread; everything else for any."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._writing = threading.Lock()
        # The number of a closed connection may soon be another's, or a file's: nobody may be about to write to it.
        self._ending = threading.Lock()
        self._pumping = threading.Thread(target=self._pump, name="link", daemon=True)
        self._pumping.start()

    @property
    def n_waiting(self) -> int:
        """How many posted messages have not been written."""
        return self._waiting.qsize()

    def send(self, message: Message) -> None:
        """Writes a message here and now; that the other end is gone shows in `receive`."""
        with self._writing, contextlib.suppress(OSError, ValueError):
            self._connection.send_bytes(packed(message))

    def post(self, message: Message) -> None:
        """Hands a message over, to be written soon, behind what was posted before; never waits."""
        self._waiting.put(packed(message))

    def receive(self) -> Message | None:
        """Waits for the next message; None once there will be no more, or none that could be read."""
        try:
            return unpacked(self._connection.recv_bytes(MOST_BYTES))
        except (EOFError, OSError, ValueError, RecursionError):
            self._waiting.put(None)
            self._hang_up_once()  # now who writes waits for the other end no longer
            with self._writing, self._ending:
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
        self._hang_up_once()

    def _hang_up_once(self) -> None:
        with self._ending:
            if not self._connection.closed:
                _hang_up(self._connection)
