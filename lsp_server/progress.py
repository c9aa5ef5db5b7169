"""`LoadProgress`: shows a load in the client's own progress bar, where the client has one.

It knows nothing of engines; the status line has the same messages for clients without a bar.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import TYPE_CHECKING

from lsprotocol import types

from engine.sentences import Sentence

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

    from lsp_server.translation import Say

logger = logging.getLogger(__name__)

TITLE = "Green Code"


class LoadProgress:
    """One work-done progress from begin to end; silent until the client has agreed to show it.

    Args:
        server: The server whose client shows it.
        say: Says a sentence in the person's language.
    """

    def __init__(self, server: LanguageServer, say: Say) -> None:
        self._server, self._say = server, say
        self._token = uuid.uuid4().hex
        self._ended = False
        self._shown = False
        window = server.client_capabilities.window
        self._create = asyncio.ensure_future(self._begin()) if window and window.work_done_progress else None

    def report(self, message: str, done: int, total: int | None) -> None:
        """Moves the bar; without `total` only the message is shown."""
        if self._shown:
            percentage = min(100, 100 * done // total) if total else None
            value = types.WorkDoneProgressReport(message=self._say(message), percentage=percentage)
            self._server.work_done_progress.report(self._token, value)

    def end(self) -> None:
        """Takes the bar away."""
        self._ended = True
        if self._shown:
            self._shown = False
            self._server.work_done_progress.end(self._token, types.WorkDoneProgressEnd())

    async def _begin(self) -> None:
        try:
            await self._server.work_done_progress.create_async(self._token)
        except Exception as error:
            logger.warning("The editor shows no progress bar: %s", error)
            return
        if not self._ended:
            self._shown = True
            begin = types.WorkDoneProgressBegin(title=TITLE, percentage=0)
            self._server.work_done_progress.begin(self._token, begin)


def as_sentence(message: str, done: int, total: int | None) -> Sentence:
    """The same for a status line, where other sentences may follow."""
    if total:
        return Sentence("{message} ({percent} %).", message=message, percent=100 * done // total)
    return Sentence("{message}.", message=message)
