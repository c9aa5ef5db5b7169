"""Whether a place lies in code, in a comment or in a string, and what would close that, by the language's own lexer.

Between two keys little changes, so what was read of a text is remembered: a key costs what its line costs. In a
language that no lexer knows, everything is code. Strings only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from engine.completion.languages import language_inside, language_named
from engine.completion.lexers import LINE_QUOTES, QUOTE, State, lexer_for
from engine.prefix import common_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.completion.lexers import Lexer, Part

READ_CHARS = 163_840
"""Before a place, that are read of a longer text; a quarter of a second, once, where it is code."""

_BEHIND_CHARS = 8_192  # that may close what is open
_MARK = "x"
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
        language_id: The language it is in; inside a page's script that is not the page's.
    """

    part: Part
    opener: str = ""
    closer: str = ""
    language_id: str = ""


CODE = Enclosure(part="code")


def part_at(prefix: str, language_id: str) -> Part:
    """Where the end of a text stands.

    Args:
        prefix: The document before the cursor.
        language_id: The editor's language identifier.
    """
    return enclosure_at(prefix, language_id).part


@lru_cache(maxsize=_MOST_TEXTS)  # a key asks several times: what it stands in, the project, the model
def enclosure_at(prefix: str, language_id: str) -> Enclosure:
    """What the end of a text lies in."""
    start, inside = language_inside(prefix, language_id)
    if start:
        return enclosure_at(prefix[start:], inside)
    lexer = lexer_for(language_id)
    if lexer is None:
        return CODE
    text = _last(prefix)
    state = _read(lexer, text, language_id)
    # The place is what the lexer takes a word there for; comments end with a line, so one ends behind it.
    *_, state = lexer.states(f"{text}{_MARK}\n", state, len(text))
    if state.part == "code" or not state.opened:
        return CODE
    return replace(_enclosure(text + _MARK, state.opened[-1].start, state.part, language_id), language_id=language_id)


def is_closed_behind(enclosure: Enclosure, suffix: str) -> bool:
    """Whether the text behind a comment or a string over several lines ends it.

    Signs that open and close alike tell it by their number: behind a string that is closed they are odd.
    """
    text = suffix[:_BEHIND_CHARS]
    at = text.find(enclosure.closer) if enclosure.closer else -1
    if at < 0:
        return False
    if enclosure.opener != enclosure.closer:
        opens = text.find(enclosure.opener)
        return opens < 0 or at <= opens
    if len(enclosure.closer) > 1:
        return text.count(enclosure.closer) % 2 == 1
    return enclosure_at(text, enclosure.language_id).opener.endswith(enclosure.closer)


def _last(prefix: str) -> str:
    """The text before a place, as far as it is read; it begins with a line."""
    if len(prefix) <= READ_CHARS:
        return prefix
    # The beginning moves in steps, so that what is remembered stays true for a while.
    start = (len(prefix) - READ_CHARS) // (READ_CHARS // 4) * (READ_CHARS // 4)
    return prefix[prefix.find("\n", start) + 1 or start :]


def _enclosure(text: str, start: int, part: Part, language_id: str) -> Enclosure:
    language = language_named(language_id)
    if part == "comment":
        for opener, closer in language.block_comments:
            if text.startswith(opener, start):
                return Enclosure(part=part, opener=opener, closer=closer)
        return Enclosure(part=part, opener=language.line_comment)
    raw = language.raw_string and language.raw_string.opened_at(text, start)
    quote = QUOTE.match(text, start) or _LONG_QUOTE_BEFORE.search(text, max(0, start - _BEFORE_CHARS), start)
    if raw:
        return Enclosure(part=part, opener=raw.opener, closer=raw.closer)
    if quote is not None:
        is_long = language.has_long_strings or quote[1] not in LINE_QUOTES
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
    for state in lexer.states(text, states[-1], len(text) - 1):
        # Behind the text's last line nothing is settled yet: a longer text may read otherwise.
        if state.at - states[-1].at >= _STATE_CHARS and state.at <= len(text) - _STATE_CHARS:
            states.append(state)
    is_of_same_text = known is not None and same >= _SAME_SHARE * len(known.text)
    others = [reading for reading in readings if not (is_of_same_text and reading is known)]
    _readings[language_id] = (_Reading(text=text, states=states), *others[: _MOST_TEXTS - 1])
    return states[-1]
