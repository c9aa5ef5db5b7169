"""`Retries`: when a load that has failed is tried again: with a back-off, and when somebody asks by hand.

It knows no engine and no client. Only what may pass by itself, such as a network that is away, is tried without being
asked for; an engine whose process has ended is loaded again at once, unless that goes on and on.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from engine.errors import EngineError, EngineLostError, ModelDownloadError, ModelNotFoundError, RemoteAwayError
from engine.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_DELAY_S = 30.0  # then twice as long each time
LONGEST_DELAY_S = 600.0
LEAST_S = 1.0  # between a failure and what is asked by hand
_MAY_PASS = (EngineLostError, ModelDownloadError, ModelNotFoundError, RemoteAwayError)
_CALM_S = 120.0  # after a loss; then the next is no part of a row


class Retries:
    """Plans one retry at a time. Belongs to the event loop.

    Args:
        again: Tries again.
    """

    def __init__(self, again: Callable[[], None]) -> None:
        self._again = again
        self._failures = 0  # one after the other
        self._failed_s = -LEAST_S
        self._losses = 0  # one soon after the other
        self._lost_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def plan(self, error: EngineError) -> str:
        """Plans another try after a failure; says when in a sentence, or "" where trying again is no use."""
        self._failed_s = time.monotonic()
        if not isinstance(error, _MAY_PASS):
            return ""
        delay_s = min(FIRST_DELAY_S * 2**self._failures, LONGEST_DELAY_S)
        self._failures += 1
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._again)
        if delay_s <= 2 * FIRST_DELAY_S:
            when = Sentence("{n:.0f} seconds", n=delay_s)
        else:
            when = Sentence("{n:.0f} minutes", n=delay_s / 60)
        return Sentence("Green Code tries again in {when}, and whenever a suggestion is asked for by hand.", when=when)

    def after_loss(self) -> None:
        """Plans to load an engine again that was there and is lost: soon, and the later the oftener that happens."""
        now_s = time.monotonic()
        self._losses = self._losses + 1 if now_s - self._lost_s < _CALM_S else 0
        self._lost_s = now_s
        delay_s = min(4.0**self._losses - 1, LONGEST_DELAY_S)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._again)

    def by_hand(self) -> None:
        """Tries again at once, unless that has failed just now."""
        if time.monotonic() - self._failed_s >= LEAST_S:
            self._again()

    def succeeded(self) -> None:
        """Begins anew with short delays."""
        self._failures = 0

    def cancel(self) -> None:
        """Cancels the planned attempt."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
