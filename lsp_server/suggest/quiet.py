"""`Quiet`: where and when the person wants nothing offered: switched off, snoozing, in private files.

It tells the status why, and computes nothing. What the cursor stands in is `lsp_server.suggest.suggester`'s affair.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from lsp_server.context.documents import path_of
from lsp_server.context.privacy import PrivateFiles
from lsp_server.settings import Settings, is_wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

logger = logging.getLogger(__name__)


class Quiet:
    """The person's wishes, as they are just now.

    Args:
        update_status: Called with the changed fields of the status, `snoozed` and `not_offered`.
    """

    def __init__(self, update_status: Callable[..., None]) -> None:
        self._update_status = update_status
        self._settings = Settings()
        self._private_files = PrivateFiles()
        self._snooze_end: asyncio.TimerHandle | None = None

    def use(self, settings: Settings, folders: Sequence[Path]) -> None:
        """Takes over settings and the folders of the workspace."""
        self._settings = settings
        self._private_files = PrivateFiles(settings.private_files, folders)

    def is_wanted(self, uri: str, language_id: str, *, is_invoked: bool) -> bool:
        """True where something may be offered; `is_invoked` where it is asked for by hand."""
        is_on = is_wanted(self._settings, language_id) and (is_invoked or self._snooze_end is None)
        private = self.why_private(uri) if is_on else ""
        if private:
            logger.debug("Nothing is offered: %s", private)
        self._update_status(not_offered=private)
        return is_on and not private

    def why_private(self, uri: str) -> str:
        """Why a document is neither completed nor read as context, as one sentence; "" where it may be."""
        path = path_of(uri)
        reason = self._private_files.reason(path) if path is not None else ""
        return f"{path.name} stays private: {reason}." if path is not None and reason else ""

    def snooze(self, minutes: int) -> None:
        """Offers nothing for so many minutes, unless asked by hand; 0 ends it."""
        self.close()
        until = ""
        if minutes:
            self._snooze_end = asyncio.get_running_loop().call_later(60 * minutes, self.snooze, 0)
            until = f"Snoozed until {datetime.now().astimezone() + timedelta(minutes=minutes):%H:%M}."
        self._update_status(snoozed=until)

    def close(self) -> None:
        """Waits for nothing any more."""
        if self._snooze_end is not None:
            self._snooze_end.cancel()
            self._snooze_end = None
