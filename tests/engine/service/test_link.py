"""One end of a connection."""

from __future__ import annotations

import threading
from multiprocessing import Pipe
from typing import TYPE_CHECKING, cast

import pytest

from engine.service.link import Link

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

pytestmark = pytest.mark.timeout(30)


class Watched:
    """A connection that sees whether it is closed while somebody writes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.is_written = threading.Event()
        self.is_closed_too_soon = False
        self.fileno, self.recv_bytes = connection.fileno, connection.recv_bytes

    @property
    def closed(self) -> bool:
        return self._connection.closed

    def send_bytes(self, data: bytes) -> None:
        self.is_written.set()
        try:
            self._connection.send_bytes(data)
        finally:
            self.is_written.clear()

    def close(self) -> None:
        self.is_closed_too_soon |= self.is_written.is_set()
        self._connection.close()


def test_a_connection_is_not_closed_while_somebody_writes_to_it() -> None:
    """Else the rest would be written to whatever is opened next, such as the ledger."""
    ours, theirs = Pipe()
    watched = Watched(ours)
    link = Link(cast("Connection", watched))
    writer = threading.Thread(target=link.send, args=({"text": "x" * 20_000_000},))
    writer.start()
    watched.is_written.wait()

    theirs.send_bytes(b"no message")

    assert link.receive() is None
    writer.join()
    assert ours.closed
    assert not watched.is_closed_too_soon
    theirs.close()


@pytest.mark.parametrize("size", [10, 20_000])
def test_what_is_posted_arrives_in_its_order_and_waits_for_no_reader(size: int) -> None:
    ours, theirs = Pipe()
    link, other = Link(ours), Link(theirs)
    n_messages = 4_000_000 // (size + 1000)  # more than there is room for

    for number in range(n_messages):
        link.post({"number": number, "text": "x" * size})
    link.close()

    assert link.n_waiting > 0
    arrived = list(iter(other.receive, None))
    assert [message["number"] for message in arrived] == list(range(n_messages))


def test_what_is_posted_behind_the_end_is_dropped() -> None:
    ours, theirs = Pipe()
    link = Link(ours)
    theirs.close()
    assert link.receive() is None
    link.wait_until_closed(10)

    for _ in range(3):
        link.post({"text": "x"})

    assert link.n_waiting == 0
