"""`Editor`: what an editor does between a person and a server: asks after each change, shows and withdraws ghost text.

As VS Code does it: the open request is taken back at each key, the next one is sent 50 ms after it, and ghost text
stays in sight while what is typed agrees with it, until a new answer takes its place. Brackets are not closed by it.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lsp_server.bench.servers import Offer, ServerUnderTest

DEBOUNCE_S = 0.05


class Editor:
    """One document, with the cursor where the last change was.

    Attributes:
        asked: Requests sent.
        answered_s: Seconds from each request to its answer, for those that had text.
        shown: Answers with text.
    """

    def __init__(self, server: ServerUnderTest, cursor: int) -> None:
        self._server = server
        self._cursor = cursor
        self._request: asyncio.Task[None] | None = None
        self._ghost: Offer | None = None
        self._typed_of_ghost = 0
        self._in_sight_since_s = 0.0
        self.asked = 0
        self.shown = 0
        self.answered_s: list[float] = []

    def insert(self, text: str) -> None:
        """Types, or pastes what was accepted."""
        self._server.edit(self._cursor, 0, text)
        self._cursor += len(text)
        self._follow(text)
        self._ask_soon()

    def backspace(self) -> None:
        """Takes the last character back."""
        self._cursor -= 1
        self._server.edit(self._cursor, 1, "")
        self._ghost = None
        self._ask_soon()

    def ghost(self, reading_s: float) -> tuple[str, Offer] | None:
        """The ghost text that has been in sight for so long, with the offer that it is what is left of."""
        if self._ghost is None or asyncio.get_running_loop().time() - self._in_sight_since_s < reading_s:
            return None
        return self._ghost.text[self._typed_of_ghost :], self._ghost

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

    def _follow(self, text: str) -> None:
        if self._ghost is None:
            return
        left = self._ghost.text[self._typed_of_ghost :]
        self._typed_of_ghost += len(text)
        if not left.startswith(text) or len(left) == len(text):
            self._ghost = None

    def _ask_soon(self) -> None:
        if self._request is not None:
            self._request.cancel()
        self._request = asyncio.create_task(self._ask())

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
        left = self._ghost.text[self._typed_of_ghost :] if self._ghost else ""
        if not left or not offer.text.startswith(left):  # a longer one of the same words needs no second reading
            self._in_sight_since_s = loop.time()
        self._ghost, self._typed_of_ghost = offer, 0
