"""Whether a place lies in code, in a comment or in a string, and what would close that, by the language's own lexer.

Between two keys little changes, so what was read of a text is remembered: a key costs what its line costs. In a
language that no lexer knows, everything is code. Strings only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from engine.completion.languages import language_named
from engine.completion.lexers import LINE_QUOTES, QUOTE, State, is_in_string, lexer_for
from engine.completion.page_languages import language_inside
from engine.prefix import common_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.completion.lexers import Lexer, Opened, Part

READ_CHARS = 163_840
"""Before a place, that are read of a longer text; a quarter of a second, once, where it is code."""

MARK = "x"
"""A word behind a place: the place is what the lexer takes that for."""

_LONG_QUOTE_BEFORE = re.compile(r"(\"\"\"|''')\s*\Z")  # some lexers count it for code
_BEFORE_CHARS = 80
_STATE_CHARS = 200  # at least, between two states that are remembered
_MOST_TEXTS = 24  # of a language, that are remembered: several windows type in turns; half a megabyte each at most
_SAME_SHARE = 0.5  # of a remembered text; what another document begins with as well, such as a licence, is less


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosure:
    """What a place lies in.

    Attributes:
        part: Code, a comment or a string.
        opener: What began the comment or string; "" in code.
        closer: What ends it; "" where that is the end of its line, or not known.
    """

    part: Part
    opener: str = ""
    closer: str = ""


CODE = Enclosure(part="code")


def part_at(prefix: str, language_id: str) -> Part:
    """Where the end of a text stands.

    Args:
        prefix: The document before the cursor.
        language_id: The editor's language identifier.
    """
    return enclosure_at(prefix, language_id).part


def enclosure_at(prefix: str, language_id: str) -> Enclosure:
    """What the end of a text lies in."""
    place = place_at(prefix, language_id)
    return CODE if place is None else place.enclosure


@dataclass(frozen=True, slots=True, kw_only=True)
class LexedPlace:
    """The end of a text, as its language's lexer reads it.

    Attributes:
        language_id: The language it is in; inside a page's script that is not the page's.
        text: What was read of that language before it.
        base: The last state before it that all further text may go on from.
        part: Code, a comment or a string.
        opened: The strings and comments that it lies in, the innermost last; the last of a place in code is the string
            that the code stands in.
        enclosure: What it lies in.
    """

    language_id: str
    text: str
    base: State
    part: Part
    opened: tuple[Opened, ...]
    enclosure: Enclosure

    @property
    def ends_with_line(self) -> bool:
        """Whether the innermost string that it stands in, or whose code, is ended by its line."""
        quote = QUOTE.match(self.text, self.opened[-1].start) if self.opened else None
        is_long = language_named(self.language_id).has_long_strings or (bool(self.opened) and self.opened[-1].in_tag)
        return quote is not None and quote[1] in LINE_QUOTES and not is_long

    @property
    def is_between_tags(self) -> bool:
        """Whether it stands in the text of an element in code, where quotes are signs of that."""
        return self.base.stack[-1] == "children"


@lru_cache(maxsize=_MOST_TEXTS)  # a key asks several times: what it stands in, the project, the model
def place_at(prefix: str, language_id: str) -> LexedPlace | None:
    """The end of a text; None in a language that no lexer knows."""
    start, inside = language_inside(prefix, language_id)
    if start:
        return place_at(prefix[start:], inside)
    lexer = lexer_for(language_id)
    if lexer is None:
        return None
    text = _last(prefix)
    base = state = _read(lexer, text, language_id)
    # The place is what the lexer takes a word there for; comments end with a line, so one ends behind it.
    for state in lexer.states(f"{text}{MARK}\n", base, len(text)):
        base = state if state.at <= len(text) else base
    is_name = is_in_string(base, base.stack)  # such as `$x` in a string, which is only code with its name
    is_code = (state.part == "code" and not is_name) or not state.opened
    return LexedPlace(
        language_id=language_id,
        text=text,
        base=base,
        part="code" if is_code else state.opened[-1].part,
        opened=state.opened,
        enclosure=CODE if is_code else _enclosure(text + MARK, state.opened[-1], state.opened[-1].part, language_id),
    )


def _last(prefix: str) -> str:
    """The text before a place, as far as it is read; it begins with a line."""
    if len(prefix) <= READ_CHARS:
        return prefix
    # The beginning moves in steps, so that what is remembered stays true for a while.
    start = (len(prefix) - READ_CHARS) // (READ_CHARS // 4) * (READ_CHARS // 4)
    return prefix[prefix.find("\n", start) + 1 or start :]


def _enclosure(text: str, opened: Opened, part: Part, language_id: str) -> Enclosure:
    language, start = language_named(language_id), opened.start
    if part == "comment":
        for opener, closer in language.block_comments:
            if text.startswith(opener, start):
                return Enclosure(part=part, opener=opener, closer=closer)
        return Enclosure(part=part, opener=language.line_comment)
    raw = language.raw_strings and language.raw_strings.at(text, start)
    quote = QUOTE.match(text, start) or _LONG_QUOTE_BEFORE.search(text, max(0, start - _BEFORE_CHARS), start)
    if raw:
        return Enclosure(part=part, opener=raw.opener, closer=raw.closer)
    if quote is not None:
        is_long = language.has_long_strings or opened.in_tag or quote[1] not in LINE_QUOTES
        return Enclosure(part=part, opener=quote[1], closer=quote[1] if is_long else "")
    return Enclosure(part=part) if text.startswith(("<<", "%", "$"), start) else CODE  # a plain value, as YAML's


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """What is remembered of a text: its states, the first first."""

    text: str
    states: Sequence[State]


_readings: dict[
    str, tuple[_Reading, ...]
] = {}  # by language, the newest first; replaced whole, so threads may share it


def _read(lexer: Lexer, text: str, language_id: str) -> State:
    """The last state that a text's lexer may go on from; reads what is new of it."""
    readings = _readings.get(language_id, ())
    shared = [common_prefix(known.text, text) for known in readings]
    same = max(shared, default=0)
    known = readings[shared.index(same)] if same else None
    states = [lexer.start(text)]
    if known is not None:
        if same == len(text):  # the cursor has moved up: what is known of the text below stays true
            return next(state for state in reversed(known.states) if state.at <= same - _STATE_CHARS or not state.at)
        kept = [state for state in known.states if state.at <= same]
        states = kept if kept and kept[0].stack == states[0].stack else states
    settled = len(text) - _STATE_CHARS  # behind it nothing is yet: a longer text may read otherwise
    last = states[-1]
    for state in lexer.states(text, last, settled):
        if state.at > settled:
            break
        last = state
        if state.at - states[-1].at >= _STATE_CHARS:
            states.append(state)
    is_of_same_text = known is not None and same >= _SAME_SHARE * len(known.text)
    others = [reading for reading in readings if not (is_of_same_text and reading is known)]
    _readings[language_id] = (_Reading(text=text, states=states), *others[: _MOST_TEXTS - 1])
    return last
