"""`replay`: a person types one stretch of a file into a server, and takes what is offered by a rule.

A suggestion is inserted at the cursor, whatever the editor has closed behind it. If it brings the same closer, the
person takes it and deletes the other one: those keys count, and as many characters were not kept. It knows neither how
a server is spoken to nor how results are shown.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lsp_server.replay.auto_close import PAIRS, AutoClose
from lsp_server.replay.editor import Editor
from lsp_server.replay.golden_rules import broken_rules
from lsp_server.replay.mending import next_move
from lsp_server.replay.typist import MENDING_S, READING_S, TYPO_S, strokes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from lsp_server.replay.servers import Costs, Offer, ServerUnderTest

MIN_CHARS = 3  # less is not worth a key
_SETTLING_S = 0.3
_TELLING_CHARS = 300  # of the document on either side of an answer that broke a rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What is typed: `text` between `before` and `after` in a file.

    Attributes:
        file: Its name, for people.
        language_id: Its language.
        before: What stands before.
        text: What is typed.
        after: What stands behind.
        path: Where the file is.
        folder: The workspace that it is opened in; what is typed stands in the file there already.
    """

    file: str
    language_id: str
    before: str
    text: str
    after: str
    path: Path | None = None
    folder: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRule:
    """A golden rule that an answer broke, and as much of the document around it as tells why."""

    rule: str
    before: str
    answer: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRun:
    """One stretch typed by one person into one server.

    Attributes:
        arm: The server and its settings.
        file: The stretch's.
        seed: The person's.
        typed_chars: Length of the stretch.
        kept_chars: Characters of it that came from suggestions, less those that had to go for them.
        keys: Keys struck, those that accept included.
        mending_keys: Those of them that deleted what the editor had closed.
        read_chars: Length of the suggestions that were in sight for long enough to be read, each once.
        asked: Requests that the editor sent.
        shown: Those that were answered with text.
        elapsed_s: From the first pause to the last key.
        answered_s: From each request to its text.
        broken_rules: Each golden rule that an answer broke.
        costs: What the server says of it.
    """

    arm: str
    file: str
    seed: int
    typed_chars: int
    kept_chars: int
    keys: int
    mending_keys: int
    read_chars: int
    asked: int
    shown: int
    elapsed_s: float
    answered_s: Sequence[float]
    broken_rules: Sequence[BrokenRule]
    costs: Costs


class Onlooker(Protocol):
    """Watches a person type. Is called on the event loop, and may ask from any thread what is in sight."""

    def begins(self, in_sight: Callable[[], str]) -> None:
        """The person begins; `in_sight` says at any time which ghost text stands behind the cursor, "" for none."""
        ...

    def wrote(self, text: str, *, kept: bool) -> None:
        """So much more of the stretch is there, typed or kept from a suggestion."""
        ...


async def replay(
    arm: str,
    server: ServerUnderTest,
    stretch: Stretch,
    *,
    seed: int,
    accepted: Callable[[str, str], int],
    pairs: Mapping[str, str] = PAIRS,
    time_scale: float = 1.0,
    onlooker: Onlooker | None = None,
) -> ReplayRun:
    """Types a stretch.

    Args:
        arm: The name of the server and its settings.
        server: Ready to answer.
        stretch: What to type.
        seed: Makes the person.
        accepted: Says how many characters of a suggestion (first) the person takes who wants to write the second.
        pairs: What the editor closes by itself, closer by opener.
        time_scale: The person's pauses are multiplied by it; the server's and the editor's are what they are.
        onlooker: Who watches.

    Raises:
        EngineError: The server has failed; said at the key after the request that tells.
    """
    loop = asyncio.get_running_loop()
    witness = _Witness(server)
    await witness.begin(stretch.language_id, stretch.before + stretch.after, stretch.path)
    editor = Editor(witness, len(stretch.before), AutoClose(stretch.before, stretch.after, pairs))
    if onlooker is not None:
        onlooker.begins(lambda: editor.in_sight)
    person = _Person(
        editor, server, stretch.text, seed=seed, accepted=accepted, time_scale=time_scale, onlooker=onlooker
    )
    started_s = loop.time()
    await person.write()
    elapsed_s = loop.time() - started_s
    await editor.rest()
    await asyncio.sleep(_SETTLING_S)
    costs = await server.end(person.kept)
    return ReplayRun(
        arm=arm,
        file=stretch.file,
        seed=seed,
        typed_chars=len(stretch.text),
        kept_chars=person.kept_chars,
        keys=person.keys,
        mending_keys=person.mending_keys,
        read_chars=sum(map(len, person.read.values())),
        asked=editor.asked,
        shown=editor.shown,
        elapsed_s=elapsed_s,
        answered_s=editor.answered_s,
        broken_rules=witness.broken_rules(stretch.language_id),
        costs=costs,
    )


class _Person:
    """Writes a text in an editor.

    Attributes:
        kept: The completions of which something was kept.
        read: What was first read of each completion.
        kept_chars, keys, mending_keys: As in `ReplayRun`.
    """

    def __init__(
        self,
        editor: Editor,
        server: ServerUnderTest,
        text: str,
        *,
        seed: int,
        accepted: Callable[[str, str], int],
        time_scale: float,
        onlooker: Onlooker | None,
    ) -> None:
        self._editor, self._server, self._text, self._onlooker = editor, server, text, onlooker
        self._accepted, self._time_scale = accepted, time_scale
        self._strokes = strokes(text, seed)
        self._at = 0
        self.kept: dict[str, None] = {}
        self.read: dict[str, str] = {}
        self.kept_chars = self.keys = self.mending_keys = 0

    async def write(self) -> None:
        """Writes it all, and leaves nothing else behind the cursor."""
        while self._at < len(self._text):
            stroke = self._strokes[self._at]
            await self._pause(stroke.pause_s)
            taken = await self._take()
            if taken:
                self.kept_chars += max(0, taken - await self._mend())
                continue
            if stroke.typo:
                self._editor.type(stroke.typo)
                await self._pause(TYPO_S)
                self._editor.backspace()
                await self._pause(stroke.pause_s)
                self.keys += 2
            move = next_move(self._text[self._at :], self._editor.behind)
            if move.steps:
                self._editor.step(move.steps)
            else:
                self._editor.type(self._text[self._at : self._at + move.types])
            self.keys = self.keys + move.keys
            self._go_on(move.steps + move.types, kept=False)
            await self._mend()

    async def _mend(self) -> int:
        """Deletes what stands behind the cursor and is not wanted there: so many characters."""
        deleted = 0
        while self._editor.behind:
            move = next_move(self._text[self._at :], self._editor.behind)
            if not move.deletes:
                break
            await self._pause(MENDING_S * move.keys)
            self._editor.delete(move.deletes)
            self.keys, self.mending_keys = self.keys + move.keys, self.mending_keys + move.keys
            deleted += move.deletes
        return deleted

    async def _take(self) -> int:
        """Takes what is offered, if it is wanted: so many characters."""
        seen = self._editor.ghost(READING_S * self._time_scale)
        if seen is None:
            return 0
        ghost, offer = seen
        self.read.setdefault(offer.completion_id, ghost)
        length = self._accepted(ghost, self._text[self._at :])
        if length < MIN_CHARS:
            return 0
        text = ghost[:length]
        if length < len(ghost.rstrip()):
            self._editor.accept(text)
            self.keys += len(text.split())
        else:
            self._editor.drop_ghost()
            self._editor.accept(text)
            await self._server.accepted(offer)
            self.keys += 1
        self.kept[offer.completion_id] = None
        self._go_on(length, kept=True)
        return length

    def _go_on(self, length: int, *, kept: bool) -> None:
        if self._onlooker is not None:
            self._onlooker.wrote(self._text[self._at : self._at + length], kept=kept)
        self._at += length

    async def _pause(self, pause_s: float) -> None:
        await asyncio.sleep(pause_s * self._time_scale)


class _Witness:
    """Stands between the editor and the server, and judges what was offered where once all is over."""

    def __init__(self, server: ServerUnderTest) -> None:
        self._server = server
        self._text = ""
        self._offered: list[tuple[str, int, str]] = []

    def broken_rules(self, language_id: str) -> list[BrokenRule]:
        """Each rule broken by an answer."""
        return [
            BrokenRule(
                rule=rule,
                before=text[:offset][-_TELLING_CHARS:],
                answer=answer,
                after=text[offset : offset + _TELLING_CHARS],
            )
            for text, offset, answer in self._offered
            for rule in broken_rules(text[:offset], answer, text[offset:], language_id)
        ]

    async def begin(self, language_id: str, text: str, path: Path | None = None) -> None:
        self._text = text
        await self._server.begin(language_id, text, path)

    def edit(self, offset: int, removed: int, text: str) -> None:
        self._text = self._text[:offset] + text + self._text[offset + removed :]
        self._server.edit(offset, removed, text)

    async def ask(self, offset: int) -> Offer | None:
        text = self._text
        offer = await self._server.ask(offset)
        if offer is not None and offer.text:
            self._offered.append((text, offset, offer.text))
        return offer

    async def accepted(self, offer: Offer) -> None:
        await self._server.accepted(offer)

    async def end(self, kept: Collection[str]) -> Costs:
        return await self._server.end(kept)
