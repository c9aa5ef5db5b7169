"""`Turns`: whose work is done next, and when nobody has come for so long that the place can be closed.

Whoever has waited longest is next, since they asked or were served last: nobody who waits is passed over. Who takes
work back and asks anew waits anew: that is somebody who types on, and would take it back again, while who still waits
has stopped typing and looks. It knows no work.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

G = TypeVar("G")

_REST_S = 1.0
_FIRST_GUEST_S = 10.0  # from the start; who has started it comes at once, but the machine may be busy


class Turns(Generic[G]):
    """Work of several guests for one thread. Its methods are for any.

    Args:
        linger_s: How long after the last guest no guest need be there; the first has some time in any case.
        at_rest: Work for the first moment in which nobody has wanted anything for a while; None for none.
    """

    def __init__(self, linger_s: float, at_rest: Callable[[], None] | None = None) -> None:
        self._linger_s, self._at_rest = linger_s, at_rest
        self._is_rested = True
        self._news = threading.Condition()
        self._work: OrderedDict[G, deque[Callable[[], None]]] = OrderedDict()  # who waits longest first
        self._empty_since_s = time.monotonic() + max(0.0, _FIRST_GUEST_S - linger_s)
        self._is_over = False

    @property
    def guests(self) -> tuple[G, ...]:
        """Who is there."""
        with self._news:
            return tuple(self._work)

    def join(self, guest: G) -> bool:
        """A guest comes; False where it is too late."""
        with self._news:
            if not self._is_over:
                self._work[guest] = deque()
            return not self._is_over

    def leave(self, guest: G) -> None:
        """A guest goes, and its work with it."""
        with self._news:
            self._work.pop(guest, None)
            if not self._work:
                self._empty_since_s = time.monotonic()
                self._news.notify()

    def put(self, guest: G, work: Callable[[], None]) -> None:
        """A guest wants something done; nothing happens where it has gone."""
        with self._news:
            if guest in self._work:
                if not self._work[guest]:
                    self._work.move_to_end(guest)
                self._work[guest].append(work)
                self._news.notify()

    def withdraw(self, guest: G, work: Callable[[], None]) -> bool:
        """Takes work back; False where its turn has come."""
        with self._news:
            waiting = self._work.get(guest, deque())
            if work in waiting:
                waiting.remove(work)
                return True
            return False

    def take_some(self, is_wanted: Callable[[Callable[[], None]], bool]) -> Callable[[], None] | None:
        """The next work of a kind, without waiting; None where nobody has any. One thread's."""
        with self._news:
            fronts = [(guest, waiting[0]) for guest, waiting in self._work.items() if waiting]
        for guest, work in fronts:
            if is_wanted(work) and self.withdraw(guest, work):
                with self._news:
                    if guest in self._work:
                        self._work.move_to_end(guest)
                return work
        return None

    def take(self) -> Callable[[], None] | None:
        """Waits for the next work; None once nobody has been there for so long, or it is over. One thread's."""
        with self._news:
            while not self._is_over:
                for guest, waiting in self._work.items():
                    if waiting:
                        self._is_rested = False
                        self._work.move_to_end(guest)
                        return waiting.popleft()
                left_s = None if self._work else self._empty_since_s + self._linger_s - time.monotonic()
                if left_s is not None and left_s <= 0:
                    self._is_over = True
                elif self._at_rest is None or self._is_rested:
                    self._news.wait(left_s)
                elif not self._news.wait(_REST_S):
                    self._is_rested = True
                    return self._at_rest
            return None

    def end(self) -> None:
        """It is over."""
        with self._news:
            self._is_over = True
            self._news.notify()
