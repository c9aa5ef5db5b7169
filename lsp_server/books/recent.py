"""`Recent`: the newest requests, what became of each and why, for a report. In memory alone, with no text in it."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from engine.sentences import Sentence
from lsp_server.protocol import RecentRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from lsp_server.protocol import Outcome

MOST_KEPT = 20


@dataclass(slots=True, kw_only=True)
class Asked:
    """One request, from its beginning; whoever answers it fills it in.

    Attributes:
        by_hand: Whether a person asked for it by hand.
        language_id: The document's; "" while it is unknown.
        completion_id: What is computed for it is called so, or so and a dash with more; "" before that is known.
    """

    by_hand: bool
    language_id: str = ""
    completion_id: str = ""
    _began: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    _began_s: float = field(default_factory=time.monotonic)
    _elapsed_s: float | None = None
    _outcome: Outcome = "skipped"
    _reason: str = Sentence("It is not answered yet.")
    _offered_chars: int = 0
    _energy_j: float | None = None

    def end(self, reason: str) -> None:
        """It was answered with nothing, and why."""
        self._elapsed_s = time.monotonic() - self._began_s
        self._reason = reason

    def offer(self, completion_id: str, offered_chars: int) -> None:
        """It was answered, with so many characters of a completion, which may be an earlier one."""
        self.end("")
        self._offered_chars = offered_chars
        if completion_id != self.completion_id and self._outcome != "computed":
            self._outcome = "reused"

    def compute(self, energy_j: float | None) -> None:
        """The engine has worked for it."""
        self._outcome = "computed"
        if energy_j is not None:
            self._energy_j = energy_j + (self._energy_j or 0.0)

    def record(self, say: Callable[[str], str]) -> RecentRequest:
        """As it is told to the client, in the person's language."""
        return RecentRequest(
            asked_at=self._began.isoformat(timespec="milliseconds"),
            language=self.language_id,
            by_hand=self.by_hand,
            outcome=self._outcome,
            reason=say(self._reason),
            offered_chars=self._offered_chars,
            elapsed_s=self._elapsed_s,
            energy_j=self._energy_j,
        )


class Recent:
    """The newest requests, the oldest of them first."""

    def __init__(self) -> None:
        self._asked: deque[Asked] = deque(maxlen=MOST_KEPT)

    def begin(self, *, by_hand: bool) -> Asked:
        """Somebody asks."""
        asked = Asked(by_hand=by_hand)
        self._asked.append(asked)
        return asked

    def computed(self, completion_id: str, energy_j: float | None) -> None:
        """The engine has worked for one of them, which may have been answered already."""
        for asked in self._asked:
            if asked.completion_id and completion_id.partition("-")[0] == asked.completion_id:
                asked.compute(energy_j)

    def told(self, say: Callable[[str], str] = str) -> list[RecentRequest]:
        """What the client is told, in the person's language."""
        return [asked.record(say) for asked in self._asked]
