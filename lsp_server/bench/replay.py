"""`replay`: a person types one stretch of a file into a server, and takes what is offered by a rule.

It knows neither how a server is spoken to nor how results are shown.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsp_server.bench.editor import Editor
from lsp_server.bench.golden_rules import broken_rules
from lsp_server.bench.typist import READING_S, TYPO_S, strokes, typed_with

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from lsp_server.bench.servers import Costs, Offer, ServerUnderTest

MIN_CHARS = 3  # less is not worth a key
_SETTLING_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What is typed: `text` between `before` and `after` in a file."""

    file: str
    language_id: str
    before: str
    text: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRun:
    """One stretch typed by one person into one server.

    Attributes:
        arm: The server and its settings.
        file: The stretch's.
        seed: The person's.
        typed_chars: Length of the stretch.
        kept_chars: Characters of it that came from suggestions.
        keys: Keys struck, those that accept included.
        asked: Requests that the editor sent.
        shown: Those that were answered with text.
        elapsed_s: From the first pause to the last key.
        answered_s: From each request to its text.
        broken_rules: Each golden rule that an answer broke, and the answer.
        costs: What the server says of it.
    """

    arm: str
    file: str
    seed: int
    typed_chars: int
    kept_chars: int
    keys: int
    asked: int
    shown: int
    elapsed_s: float
    answered_s: Sequence[float]
    broken_rules: Sequence[tuple[str, str]]
    costs: Costs


async def replay(
    arm: str,
    server: ServerUnderTest,
    stretch: Stretch,
    *,
    seed: int,
    accepted: Callable[[str, str], int],
    time_scale: float = 1.0,
) -> ReplayRun:
    """Types a stretch.

    Args:
        arm: The name of the server and its settings.
        server: Ready to answer.
        stretch: What to type.
        seed: Makes the person.
        accepted: Says how many characters of a suggestion (first) the person takes who wants to write the second.
        time_scale: The person's pauses are multiplied by it; the server's and the editor's are what they are.
    """
    loop = asyncio.get_running_loop()
    witness = _Witness(server)
    await witness.begin(stretch.language_id, stretch.before + stretch.after)
    editor = Editor(witness, len(stretch.before))
    person = strokes(stretch.text, seed)
    kept: dict[str, None] = {}
    kept_chars = keys = at = 0
    started_s = loop.time()
    while at < len(stretch.text):
        await asyncio.sleep(person[at].pause_s * time_scale)
        taken = await _take(editor, server, stretch.text[at:], accepted, READING_S * time_scale)
        if taken is not None:
            text, completion_id, taking_keys = taken
            kept[completion_id] = None
            kept_chars, keys, at = kept_chars + len(text), keys + taking_keys, at + len(text)
            continue
        if person[at].typo:
            editor.insert(person[at].typo)
            await asyncio.sleep(TYPO_S * time_scale)
            editor.backspace()
            await asyncio.sleep(person[at].pause_s * time_scale)
            keys += 2
        length = typed_with(stretch.text, at)
        editor.insert(stretch.text[at : at + length])
        keys, at = keys + 1, at + length
    elapsed_s = loop.time() - started_s
    await editor.rest()
    await asyncio.sleep(_SETTLING_S)
    costs = await server.end(kept)
    return ReplayRun(
        arm=arm,
        file=stretch.file,
        seed=seed,
        typed_chars=len(stretch.text),
        kept_chars=kept_chars,
        keys=keys,
        asked=editor.asked,
        shown=editor.shown,
        elapsed_s=elapsed_s,
        answered_s=editor.answered_s,
        broken_rules=witness.broken_rules(stretch.language_id),
        costs=costs,
    )


class _Witness:
    """Stands between the editor and the server, and judges what was offered where once all is over."""

    def __init__(self, server: ServerUnderTest) -> None:
        self._server = server
        self._text = ""
        self._offered: list[tuple[str, int, str]] = []

    def broken_rules(self, language_id: str) -> list[tuple[str, str]]:
        """Each rule broken by an answer, and the answer."""
        return [
            (rule, answer)
            for text, offset, answer in self._offered
            for rule in broken_rules(text[:offset], answer, text[offset:], language_id)
        ]

    async def begin(self, language_id: str, text: str) -> None:
        self._text = text
        await self._server.begin(language_id, text)

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


async def _take(
    editor: Editor, server: ServerUnderTest, wanted: str, accepted: Callable[[str, str], int], reading_s: float
) -> tuple[str, str, int] | None:
    """Takes what is offered, if it is wanted: the text, where it comes from, and the keys that it took."""
    seen = editor.ghost(reading_s)
    if seen is None:
        return None
    ghost, offer = seen
    length = accepted(ghost, wanted)
    if length < MIN_CHARS:
        return None
    text = ghost[:length]
    if length < len(ghost.rstrip()):
        editor.insert(text)
        return text, offer.completion_id, len(text.split())
    editor.drop_ghost()
    editor.insert(text)
    await server.accepted(offer)
    return text, offer.completion_id, 1
