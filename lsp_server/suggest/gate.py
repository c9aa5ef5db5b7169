"""`Gate`: when to ask the engine after a key, and where not to ask at all.

Pure: times are arguments. A request pays where a suggestion is likely kept, and more so where the person is likely
still there when it can be read. The first is what the text around the cursor tells, and what the project says of it
(`engine.completion.acceptance`), the second is how long this person pauses at places of this kind. With p the chance
that a suggestion is kept, S(t) the share of this person's pauses here that last longer than t, and d the time until an
answer is there and noticed, it asks at the first time t after the key at which

    p · (a + (1 - a) · S(t + d) / S(t))  >=  price(g),

with g the greenness, the share of its way that the user's slider stands at: the chance of being of use, given that no
key has come so far, must be worth the work. The share a of it is there although a key comes, for what is right stays in
sight while it is typed along. At greenness 0 nobody waits and every place is asked; the higher, the fewer. Whoever has
stopped typing is asked for at a share of the price; where not even that would do, the place is skipped.
(Greenness is no energy weight: that is the exit policy's, whose file maps the slider to it by what it saves in
decoding.)
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, Protocol

from engine.completion.acceptance import PlaceKind, place_kind
from engine.types import GREEN_MODE_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.outlook import Outlook

HIGHEST_PRICE = 0.46
"""The chance of being kept that green mode 100 asks for; by replay (engine/LOG.md, "When to ask: typed along")."""

_RISE = 0.2  # of the price along the slider: fast at first, as few places have a chance below a fifth
_OUTLASTS_KEYS = 0.7  # the share `a`
_OF_WHO_STAYS = 0.6  # of the price, behind the longest wait: `return` in a project that knows nothing of it has 0.27

LONGEST_WAIT_S = 0.6
_STEP_S = 0.025  # between the times that are looked at
_NOTICING_S = 0.35  # from text in sight to a person who has read it
_LONGEST_PAUSE_S = 10.0  # a person who pauses longer does something else
_PAUSES = 64  # of the newest at each kind of place
_ANSWERS = 9  # the expected time is their median: the first answer in a file reads all of it, and takes longer
_GUESSED_ANSWER_S = 0.1

# Assumed of a person who has not typed yet: about the quantiles that large studies of typing find between
# keys (Dhakal et al., CHI 2018), with a pause to think in one of nine; at line starts most pauses are such.
_BETWEEN_KEYS_S = (0.12, 0.15, 0.17, 0.19, 0.2, 0.22, 0.26, 0.32, 2.0)
_AT_LINE_STARTS_S = (0.2, 0.3, 0.5, 0.7, 0.9, 1.2, 2.0, 4.0)


def price_at(green_mode: int) -> float:
    """The chance of being kept that a request must have."""
    return HIGHEST_PRICE * math.pow(green_mode / GREEN_MODE_MAX, _RISE)


def least_chance(green_mode: int) -> float:
    """The chance below which a place is not asked at, however long the person stays."""
    return _OF_WHO_STAYS * price_at(green_mode)


class ChanceOfKeeping(Protocol):
    """Says how likely a suggestion behind a text is kept, 0 to 1."""

    def __call__(self, prefix: str, outlook: Outlook | None, /) -> float:
        """The chance; the outlook is what a project says, where there is one."""
        ...


class TypingRhythm:
    """Learns how long a person pauses at places of each kind. Seconds of any steady clock."""

    def __init__(self) -> None:
        self._pauses_s = {
            kind: deque(_AT_LINE_STARTS_S if kind is PlaceKind.LINE_START else _BETWEEN_KEYS_S, maxlen=_PAUSES)
            for kind in PlaceKind
        }
        self._kind: PlaceKind | None = None
        self.last_key_s: float | None = None

    def note_key(self, now_s: float) -> None:
        """Learns from the pause before a key struck now, where the place of the key before is known."""
        if self._kind is not None and self.last_key_s is not None:
            pause_s = now_s - self.last_key_s
            if 0 < pause_s < _LONGEST_PAUSE_S:
                self._pauses_s[self._kind].append(pause_s)
        self.last_key_s, self._kind = now_s, None

    def cursor_at(self, kind: PlaceKind) -> None:
        """Remembers at what kind of place the cursor stands since the last key."""
        self._kind = kind

    def pauses_s(self, kind: PlaceKind) -> Sequence[float]:
        """The newest pauses at places of a kind, in seconds."""
        return self._pauses_s[kind]


class Gate:
    """Decides for each request how long to wait, and whether to ask at all. Each person has a gate of their own.

    Args:
        chance: Gives the chance that a suggestion at a place is kept.
        usual: That chance on average over all places.
    """

    def __init__(self, chance: ChanceOfKeeping, usual: float) -> None:
        self._chance, self._usual = chance, usual
        self._rhythm = TypingRhythm()
        self._answers_s: deque[float] = deque(maxlen=_ANSWERS)

    def note_key(self, now_s: float) -> None:
        """Learns from a key struck now."""
        self._rhythm.note_key(now_s)

    def cursor_at(self, prefix: str) -> None:
        """Remembers the place that the cursor stands at since the last key."""
        self._rhythm.cursor_at(place_kind(prefix))

    def answered(self, elapsed_s: float) -> None:
        """Learns from how long the engine took for an answer."""
        self._answers_s.append(elapsed_s)

    def wait_s(
        self, prefix: str, now_s: float, green_mode: int, *, outlook: Outlook | None = None, may_skip: bool = True
    ) -> float | None:
        """How long to wait from now on before the engine is asked; None not to ask it.

        Args:
            prefix: The text before the cursor.
            now_s: The time.
            green_mode: The slider's position, 0 to 100.
            outlook: What the project says of the place, which is not sure of it.
            may_skip: False takes every place for a usual one.
        """
        price = price_at(green_mode)
        chance = self._chance(prefix, outlook) if may_skip else max(price, self._usual)
        if chance < least_chance(green_mode):
            return None
        if price == 0.0 or self._rhythm.last_key_s is None:
            return 0.0
        pauses_s = sorted(self._rhythm.pauses_s(place_kind(prefix)))
        until_read_s = self._answer_s() + _NOTICING_S
        passed_s = max(0.0, now_s - self._rhythm.last_key_s)
        wanted_s = passed_s
        while wanted_s < LONGEST_WAIT_S and chance * _of_use(pauses_s, wanted_s, wanted_s + until_read_s) < price:
            wanted_s += _STEP_S
        return max(0.0, min(wanted_s, LONGEST_WAIT_S) - passed_s)

    def _answer_s(self) -> float:
        if not self._answers_s:
            return _GUESSED_ANSWER_S
        from statistics import median  # nobody waits for its import any more

        return median(self._answers_s)


def _of_use(pauses_s: Sequence[float], waited_s: float, read_s: float) -> float:
    """The share of what is right that is of use where it can be read at `read_s`."""
    return _OUTLASTS_KEYS + (1 - _OUTLASTS_KEYS) * _stays(pauses_s, waited_s, read_s)


def _stays(pauses_s: Sequence[float], waited_s: float, needed_s: float) -> float:
    """The chance that nobody types until `needed_s`, when no key was struck for `waited_s`; of pauses in their order.

    One pause that never ends is always among them, so that whoever has waited longest is thought to stay.
    """
    n_shorter, n_too_short = bisect_right(pauses_s, waited_s), bisect_right(pauses_s, needed_s)
    return (1 + len(pauses_s) - n_too_short) / (1 + len(pauses_s) - n_shorter)
