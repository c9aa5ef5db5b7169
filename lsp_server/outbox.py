"""`Outbox`: what is sent to the client, written on a thread of its own.

A client that stops reading fills its pipe, and a write then waits for ever: it must not be the event loop that waits.
What is not read is kept up to a bound; then, and where nobody can read any more, the client counts as gone. It knows no
messages.
"""

from __future__ import annotations

import logging
import os
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

MAX_WAITING_BYTES = 64 << 20  # an editor that stands still in a debugger for an hour leaves a thousandth of it unread


class Outbox:
    """A stream of bytes to a client; pygls writes on the event loop's thread.

    Args:
        fd: Where to; it is the thread's from now on.
        on_gone: Called once, on any thread, when nobody reads any more.
    """

    def __init__(self, fd: int, on_gone: Callable[[], None]) -> None:
        self._fd = fd
        self._on_gone = on_gone
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._is_gone = False
        self._thread = threading.Thread(target=self._pump, name="stdout", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """Hands a message over; it never waits, and drops what nobody will read."""
        with self._lock:
            self._waiting_bytes += len(data)
            is_too_much = self._waiting_bytes > MAX_WAITING_BYTES
        if is_too_much and not self._is_gone:
            logger.error("The editor does not read what it is sent.")
            self._give_up()
        if not self._is_gone:
            self._queue.put(data)

    def close(self) -> None:
        """Ends the stream behind what has been handed over."""
        self._queue.put(None)

    def flush(self, timeout_s: float) -> bool:
        """Ends the stream and waits until all of it is written; False where that takes too long."""
        self.close()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _give_up(self) -> None:
        self._is_gone = True
        self._on_gone()

    def _pump(self) -> None:
        while (data := self._queue.get()) is not None:
            left = memoryview(data)
            try:
                while left:
                    left = left[os.write(self._fd, left) :]
            except OSError:  # nobody has the other end any more
                if not self._is_gone:
                    self._give_up()
                return
            with self._lock:
                self._waiting_bytes -= len(data)
