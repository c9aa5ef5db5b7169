"""`Rest`: gives an engine that nobody uses its memory back after a while, and wakes it with the next use.

It knows no engine: it calls back.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

USUAL_MINUTES = 30  # without a key; waking takes a second or two
MINUTE_S = 60.0


class Rest:
    """Rests after a while without use. Belongs to the event loop.

    Args:
        lie_down: Called when the rest begins.
        wake: Called with the first use after that.
        after_min: Says how many minutes without use that is.
        is_loading: Says whether the engine is only coming; what nobody has had yet is not taken away.
    """

    def __init__(
        self,
        lie_down: Callable[[], None],
        wake: Callable[[], None],
        after_min: Callable[[], int],
        is_loading: Callable[[], bool],
    ) -> None:
        self._lie_down = lie_down
        self._wake = wake
        self._after_min = after_min
        self._is_loading = is_loading
        self._timer: asyncio.TimerHandle | None = None
        self._rests = False

    @property
    def is_resting(self) -> bool:
        """Whether the engine was given back, until somebody types or asks."""
        return self._rests

    def note_use(self) -> None:
        """Somebody types or asks."""
        self.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._after_min() * MINUTE_S, self._begin)
        if self._rests:
            self._rests = False
            self._wake()

    def cancel(self) -> None:
        """Plans no rest any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        if self._is_loading():
            self.note_use()
            return
        self._rests = True
        self._lie_down()
