"""When to ask: how long to wait at a place before the engine is troubled, and where not to ask at all.

Pure: the time is an argument. Whoever types on makes an answer useless, so the wait is at most as long as three of
four pauses between this person's own keys: who has not gone on by then has likely stopped to think. And it is at most
2 x energy weight x the time an answer takes: at weight 0 nobody waits; at 0.5, in the worst case, text comes in twice
the time and for twice the work that foresight would have needed (the argument of the ski rental); a higher green mode
waits longer, so it asks less. On a fast device there is next to no wait.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from engine.types import CompletionRequest

LONGEST_KEY_PAUSE_S = 1.0  # who pauses longer is not typing
_PAUSES = 48  # of the newest keys, that the rhythm is taken from
_PAUSES_WANTED = 8  # before they say more than the guess below
_GUESSED_PAUSE_S = 0.2  # about what large studies of typing find at the third quartile
_QUANTILE = 0.75
_SMOOTHING = 0.3  # weight of the newest answer's time


class SkipRule(Protocol):
    """Says where a suggestion would hardly be kept; asked for automatic requests only."""

    def __call__(self, request: CompletionRequest, /) -> bool:
        """True where the engine is better not asked."""
        ...


def never_skip(request: CompletionRequest) -> bool:
    """The rule of those who want to be offered something everywhere."""
    return False


class TypingRhythm:
    """Learns a person's pauses between keys and how long answers take. Seconds of any steady clock."""

    def __init__(self) -> None:
        self._pauses_s: deque[float] = deque(maxlen=_PAUSES)
        self._last_key_s: float | None = None
        self._answer_s: float | None = None

    def key(self, now_s: float) -> None:
        """Takes note of a change to a document."""
        if self._last_key_s is not None and 0 < now_s - self._last_key_s < LONGEST_KEY_PAUSE_S:
            self._pauses_s.append(now_s - self._last_key_s)
        self._last_key_s = now_s

    def answered(self, elapsed_s: float) -> None:
        """Takes note of how long the engine took for an answer."""
        known_s = self._answer_s if self._answer_s is not None else elapsed_s
        self._answer_s = known_s + _SMOOTHING * (elapsed_s - known_s)

    def wait_s(self, now_s: float, energy_weight: float) -> float:
        """What is left to wait since the last key; 0 without one: nobody is typing.

        Args:
            now_s: The time.
            energy_weight: Of energy against text at once, 0 to 1.
        """
        if self._last_key_s is None:
            return 0.0
        longest_s = 2 * energy_weight * (self._answer_s or 0.0)
        return max(0.0, self._last_key_s + min(self._pause_s(), longest_s) - now_s)

    def _pause_s(self) -> float:
        if len(self._pauses_s) < _PAUSES_WANTED:
            return _GUESSED_PAUSE_S
        return sorted(self._pauses_s)[int(_QUANTILE * len(self._pauses_s))]
