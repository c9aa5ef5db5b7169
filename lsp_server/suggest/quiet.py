"""`Quiet`: where and when the person wants nothing offered: switched off, snoozing, in private files.

It answers with the reason, and sends nothing. What the cursor stands in, code or a comment, is decided in
`lsp_server.suggest.suggester`.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from engine.sentences import Sentence
from lsp_server.context.documents import NOWHERE, path_of
from lsp_server.context.git_ignore import GitIgnores
from lsp_server.context.privacy import NOT_KNOWN_YET, PrivateFiles
from lsp_server.settings import Settings, why_off
from lsp_server.suggest.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path


_SHOWN_CHARS = 80  # of a file's name
CLOCK_PERIOD_S = 20.0  # within which a snooze that has ended while the machine slept is over


def _now() -> datetime:
    return datetime.now().astimezone()


class Quiet:
    """The person's wishes, as they are just now.

    Args:
        now: The clock on the wall.
        on_snooze: Called with one sentence when a snooze begins, and with "" when it ends.
    """

    def __init__(self, on_snooze: Callable[[str], None], *, now: Callable[[], datetime] = _now) -> None:
        self._now = now
        self._on_snooze = on_snooze
        self._settings = Settings()
        self._git = GitIgnores()
        self._private_files = PrivateFiles(git=self._git)
        self._snoozed = ""
        self._ends = (now(), 0.0)  # of a snooze, by the clock on the wall and by the one that is never set
        self._snooze_end: asyncio.TimerHandle | None = None

    def use(self, settings: Settings, folders: Sequence[Path]) -> None:
        """Takes over settings and the folders of the workspace."""
        self._settings = settings
        self._private_files = PrivateFiles(settings.private_files, folders, git=self._git)

    async def learn(self, uris: Iterable[str]) -> None:
        """Asks git about documents, where it has to be asked; until then they are private."""
        await self._private_files.learn(path for uri in uris if (path := path_of(uri)) is not None)

    def refusal(self, uri: str, language_id: str, *, is_invoked: bool) -> Reason | None:
        """Why nothing may be offered in a document; None where something may be.

        Args:
            uri: The document.
            language_id: The editor's language identifier; "" when unknown.
            is_invoked: True where the person asks by hand, which a snooze lets through.
        """
        self._look_at_the_clock()
        if off := why_off(self._settings, language_id):
            return Reason("off", off)
        if self._snoozed and not is_invoked:
            return Reason("snoozed", self._snoozed)
        private = self.why_private(uri)
        return Reason("private", private) if private else None

    def why_private(self, uri: str) -> str:
        """Why a document is neither completed nor read as context, as one sentence; "" where it may be."""
        path = path_of(uri)
        reason = self._private_files.reason(path) if path is not None else ""
        if path is None or not reason:
            return ""
        return Sentence("{file} stays private: {reason}.", file=_shown(path), reason=reason)

    def is_undecided(self, uri: str) -> bool:
        """True where a document is private only until git has been asked."""
        path = path_of(uri)
        return path is not None and self._private_files.reason(path) == NOT_KNOWN_YET

    def snooze(self, minutes: int) -> None:
        """Offers nothing for so many minutes, unless asked by hand; 0 ends it."""
        self._end_snooze()
        self._snoozed = ""
        if minutes:
            self._ends = (self._now() + timedelta(minutes=minutes), time.monotonic() + 60 * minutes)
            self._snoozed = Sentence("Snoozed until {time}.", time=f"{self._ends[0]:%H:%M}")
            self._look_at_the_clock()
        self._on_snooze(self._snoozed)

    def _look_at_the_clock(self) -> None:
        """Ends a snooze by the clock on the wall: timers stand still while the machine sleeps.

        A clock that was set back does not make it longer.
        """
        self._end_snooze()
        if not self._snoozed:
            return
        end, end_s = self._ends
        left_s = min((end - self._now()).total_seconds(), end_s - time.monotonic())
        if left_s <= 0:
            self.snooze(0)
        else:
            later_s = min(left_s, CLOCK_PERIOD_S)
            self._snooze_end = asyncio.get_running_loop().call_later(later_s, self._look_at_the_clock)

    def close(self) -> None:
        """Ends what is kept open."""
        self._end_snooze()
        self._git.close()

    def _end_snooze(self) -> None:
        if self._snooze_end is not None:
            self._snooze_end.cancel()
            self._snooze_end = None


def _shown(path: Path) -> str:
    """A file's name as a part of a sentence: no other signs than those one can see, and not too many."""
    if path == NOWHERE:
        return Sentence("A file whose name cannot be read")
    readable = "".join(char if char.isprintable() else "?" for char in path.name)
    return readable if len(readable) <= _SHOWN_CHARS else f"{readable[:_SHOWN_CHARS]}…"
