"""`Editor`: what an editor does between a person and a server: asks after each change, shows and withdraws ghost text.

As VS Code does it: the open request is taken back at each key, the next one is sent 50 ms after it, and ghost text
stays in sight while what is typed agrees with it, until a new answer takes its place. It is told what it closes.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lsp_server.replay.auto_close import AutoClose, Edit
    from lsp_server.replay.servers import Offer, ServerUnderTest

DEBOUNCE_S = 0.05


class Editor:
    """One document, with the cursor where the last change was.

    A request that failed makes the next key fail, with the server's reason.

    Args:
        server: Has the document open.
        cursor: Characters before the cursor.
        closing: What the editor closes; it knows the same document.

    Attributes:
        asked: Requests sent.
        answered_s: Seconds from each request to its answer, for those that had text.
        shown: Answers with text.
    """

    def __init__(self, server: ServerUnderTest, cursor: int, closing: AutoClose) -> None:
        self._server = server
        self._cursor = cursor
        self._closing = closing
        self._request: asyncio.Task[None] | None = None
        self._ghost: Offer | None = None
        self._left = ""  # of the ghost text
        self._in_sight_since_s = 0.0
        self.asked = 0
        self.shown = 0
        self.answered_s: list[float] = []

    @property
    def behind(self) -> str:
        """What the editor has put behind the cursor."""
        return self._closing.behind

    @property
    def in_sight(self) -> str:
        """The ghost text, however short it has been there; "" for none."""
        return "" if self._ghost is None else self._left

    def type(self, text: str) -> None:
        """One key, and what comes with it."""
        self._apply(self._closing.typed(text))

    def accept(self, text: str) -> None:
        """Inserts the beginning of the ghost text."""
        self._apply(self._closing.pasted(text))

    def backspace(self) -> None:
        """Takes the last character back."""
        self._apply(self._closing.backspaced())

    def delete(self, chars: int) -> None:
        """Takes characters behind the cursor away that the editor has put there."""
        self._apply(self._closing.deleted(chars))

    def step(self, chars: int) -> None:
        """Moves the cursor over characters that the editor has put behind it; nothing is asked there."""
        self._closing.stepped(chars)
        self._cursor += chars
        self._ghost = None
        self._take_back()

    def ghost(self, reading_s: float) -> tuple[str, Offer] | None:
        """The ghost text if it was in sight for `reading_s`, and the offer that it is the rest of; else None."""
        if self._ghost is None or asyncio.get_running_loop().time() - self._in_sight_since_s < reading_s:
            return None
        return self._left, self._ghost

    def drop_ghost(self) -> None:
        """The ghost text was taken whole."""
        self._ghost = None

    async def rest(self) -> None:
        """Takes the open request back."""
        if self._request is not None:
            self._request.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._request
            self._request = None

    def _apply(self, edit: Edit) -> None:
        self._take_back()
        start = self._cursor - edit.removed_before
        self._server.edit(start, edit.removed_before + edit.removed_behind, edit.text)
        self._cursor = start + edit.before_cursor
        self._follow(edit)
        self._request = asyncio.create_task(self._ask())

    def _follow(self, edit: Edit) -> None:
        """Keeps what is left of the ghost text; what was closed behind the cursor goes from its end, or hides it."""
        typed, closed = edit.text[: edit.before_cursor], edit.text[edit.before_cursor :]
        agrees = self._left.startswith(typed) and self._left.endswith(closed)
        if edit.removed_before or edit.removed_behind or not agrees or len(self._left) <= len(edit.text):
            self._ghost = None
        self._left = self._left[len(typed) : len(self._left) - len(closed)]

    def _take_back(self) -> None:
        if self._request is None:
            return
        if self._request.done() and not self._request.cancelled():
            self._request.result()
        self._request.cancel()

    async def _ask(self) -> None:
        await asyncio.sleep(DEBOUNCE_S)
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        self.asked += 1
        offer = await self._server.ask(self._cursor)
        if offer is None or not offer.text:
            self._ghost = None
            return
        self.shown += 1
        self.answered_s.append(loop.time() - started_s)
        left = self._left if self._ghost else ""
        if not left or not offer.text.startswith(left):  # a longer one of the same words needs no second reading
            self._in_sight_since_s = loop.time()
        self._ghost, self._left = offer, offer.text
