"""What new text must not leave, because the text behind the cursor does: a string, a comment, or code in a string.

What is ended by a sign of its own is looked for; where the sign may begin another one, the language's lexer reads on.
Strings only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from engine.completion.brackets import CLOSERS, QUOTES, Scan
from engine.completion.languages import language_named
from engine.completion.lexers import QUOTE, State, comment_end, is_in_string, lexer_for
from engine.completion.lexical import MARK, READ_CHARS, place_at
from engine.completion.page_languages import open_mark
from engine.completion.words import escapes_next

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.completion.lexical import LexedPlace

_BEHIND_CHARS = 8_192  # behind a string, that a lexer reads on, once
_NEAR_CHARS = 2_048  # before and behind code in a string, that are read again for each key
_CODE_MARK = re.compile(r"(?<!\\)(?:[$#]\{|\{(?=\$)|\$\()")  # of most languages
_BEHIND = f" {MARK}\n"  # a text, so that its end is read for what it is
_GOES_ON = re.compile(r"[ \t]*\S[^\n]*(?:\n[ \t]*\*[^\n]*)*|[ \t]*(?:\n[ \t]*\*[^\n]*)+")  # before what a comment names
_ENDS = CLOSERS | QUOTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A string or comment whose end no other text begins with.

    Attributes:
        opener: What began it.
        closer: What ends it.
        nests: Whether others may stand in it.
        has_chapters: Whether others that begin in it end with it.
        is_comment: Whether a backslash before its end takes nothing of its meaning away.
    """

    opener: str
    closer: str
    nests: bool = False
    has_chapters: bool = False
    is_comment: bool = False

    def left_at(self, text: str) -> int | None:
        """Where text at the cursor leaves it; None where it does not."""
        if self.nests:
            end = comment_end(text, 0, self.opener, self.closer, nests=True)
            return None if end is None else end - len(self.closer)
        at = text.find(self.closer)
        while at > 0 and not self.is_comment and escapes_next(text[:at]):
            at = text.find(self.closer, at + 1)  # a backslash before it takes its meaning away
        return at if at >= 0 else None

    def is_left_in(self, text: str) -> bool:
        """Whether the text behind the cursor leaves it: before it begins another, or in an odd number of times."""
        if self.nests:
            return self.left_at(text) is not None
        if self.opener == self.closer:
            return text.count(self.closer) % 2 == 1
        at, begins = text.find(self.closer), -1 if self.has_chapters else text.find(self.opener)
        if at < 0 or begins < 0 or at <= begins:
            return at >= 0
        return self.is_comment and _GOES_ON.fullmatch(text, 0, begins) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracketed:
    """Code in a string whose lexer takes it for a part of that.

    Attributes:
        code: What stands of it before the cursor.
    """

    code: str

    def left_at(self, text: str) -> int | None:
        """Where text at the cursor leaves it; None where it does not."""
        scan, whole, n_read = Scan().over(self.code), self.code + text, len(self.code)
        for at in (at for at in range(n_read, len(whole)) if whole[at] in CLOSERS):
            scan, n_read = scan.over(whole, n_read, at + 1), at + 1
            if scan.closers:
                return at - len(self.code)
        return None

    def is_left_in(self, text: str) -> bool:
        """Whether the text behind the cursor leaves it."""
        return self.left_at(text[:_NEAR_CHARS]) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A string whose end looks like a beginning, or code in one.

    Attributes:
        language_id: Whose lexer reads it.
        text: What stands before the cursor; of a string itself, what began it.
        closer: What ends the string itself; "" for code in one.
        state: Where the lexer goes on in that.
        n_behind: How much of what stands behind the cursor is read.
    """

    language_id: str
    text: str
    closer: str
    state: State
    n_behind: int

    def left_at(self, text: str) -> int | None:
        """Where text at the cursor leaves it; None where it does not."""
        return _reading(self, text).left_at

    def is_left_in(self, text: str) -> bool:
        """Whether the text behind the cursor leaves it, and reads no better if it had ended before."""
        return _is_left(self, text[: self.n_behind])


Inside = Signed | Bracketed | Read


def closed_below(prefix: str, suffix: str, language_id: str) -> Inside | None:
    """What the cursor stands in, where the text behind it ends that; None where it does not.

    Args:
        prefix: The document before the cursor.
        suffix: The document behind it.
        language_id: The editor's language identifier.
    """
    place = place_at(prefix, language_id)
    inside = _inside(place) if place is not None and place.opened else None
    if place is not None and inside is not None and place.part == "code" and place.ends_with_line:
        suffix = suffix.partition("\n")[0]  # the string does, and so does the code in it
    if inside is None and place is not None and place.part == "code" and (mark := open_mark(prefix, language_id)):
        inside = Signed(opener=mark.opener, closer=mark.closer)
    return inside if inside is not None and inside.is_left_in(suffix[:READ_CHARS]) else None


def _inside(place: LexedPlace) -> Inside | None:
    enclosure, language = place.enclosure, language_named(place.language_id)
    if place.part == "comment":
        signed = Signed(
            opener=enclosure.opener,
            closer=enclosure.closer,
            nests=language.nests_comments,
            has_chapters=sum(closer == enclosure.closer for _, closer in language.block_comments) > 1,
            is_comment=True,
        )
        return signed if enclosure.closer else None
    if place.part == "string" and enclosure.opener:
        return _inside_string(place) if enclosure.closer else None  # else its line ends it
    is_near = len(place.text) - place.opened[0].start <= _NEAR_CHARS
    read = Read(language_id=place.language_id, text=place.text, closer="", state=place.base, n_behind=_NEAR_CHARS)
    return read if is_near else None


def _inside_string(place: LexedPlace) -> Inside:
    enclosure, opened = place.enclosure, place.opened[-1]
    if (code := _code_in(place.text[opened.start :][-_NEAR_CHARS:])) is not None:
        return Bracketed(code=code)
    if enclosure.closer not in QUOTES:
        return Signed(opener=enclosure.opener, closer=enclosure.closer)
    return Read(
        language_id=place.language_id,
        text=enclosure.opener,
        closer=enclosure.closer,
        state=State(0, opened.stack),
        n_behind=_BEHIND_CHARS,
    )


def _code_in(text: str) -> str | None:
    """The code that a string's text ends in; None where it does not."""
    marks = [found.end() for found in _CODE_MARK.finditer(text)]
    return text[marks[-1] :] if marks and not Scan().over(text, marks[-1]).closers else None


class _Reading(NamedTuple):
    """What became of a string behind the cursor.

    Attributes:
        left_at: Where it is left; None where it is not.
        is_open: Whether the text ends in a string or a comment.
        n_odd: How many strings go over the end of a line, or are ended by it, and how many quotes stand alone.
    """

    left_at: int | None
    is_open: bool
    n_odd: int


@lru_cache(maxsize=16)
def _is_left(inside: Read, suffix: str) -> bool:
    read = _reading(inside, suffix)
    if read.left_at is None or not inside.closer:
        return read.left_at is not None and not read.is_open
    # Had it ended at the cursor, each further quote would mean the opposite.
    ended = _reading(replace(inside, text=inside.text + inside.closer), suffix)
    return read.n_odd + read.is_open <= ended.n_odd + ended.is_open


def _reading(inside: Read, text: str) -> _Reading:
    lexer = lexer_for(inside.language_id)
    assert lexer is not None  # it was read by one
    start = len(inside.text)
    *_, here = lexer.states(f"{inside.text}{MARK}\n", inside.state, start)
    whole = f"{inside.text}{text}{_BEHIND}"
    state, at, odd = inside.state, None, set[int]()
    for following in lexer.states(whole, state, len(whole) - len(_BEHIND)):
        if at is None and min(state.at, following.at) > start and _has_left(here, following):
            at = state.at - 1
        odd.update(_odd_in(whole, state, following, len(inside.state.stack)))
        state = following
    is_end = at is not None and whole[at] in _ENDS
    left_at = at - start if at is not None and is_end and at >= start else None
    blocks = tuple(opener for opener, _ in language_named(inside.language_id).block_comments)
    in_comment = state.part == "comment" and bool(state.opened) and whole.startswith(blocks, state.opened[-1].start)
    return _Reading(left_at, state.part == "string" or in_comment, len(odd))


def _odd_in(text: str, before: State, after: State, depth: int) -> Iterator[int]:
    """Where a step goes on or ends with a string over the end of a line, or reads a quote without its meaning."""
    read = text[before.at : after.at]
    in_string = after.part == "string" or is_in_string(after, after.stack)
    if in_string and after.opened and after.opened[-1].depth >= depth:
        start = after.opened[-1].start
        quote = QUOTE.match(text, start)
        if "\n" in read or (text[after.at : after.at + 1] == "\n" and quote and not read.endswith(quote[1])):
            yield start
    if after.part == "code" and read[:1] == "\\" and text[before.at + 1] in QUOTES:
        yield before.at


def _has_left(here: State, there: State) -> bool:
    """Whether a state lies no longer in what another one lies in, the string or the code in it."""
    if not here.opened:
        return False
    start, starts = here.opened[-1].start, [opened.start for opened in there.opened]
    return start not in starts or (here.part == "code" and there.part == "string" and starts[-1] == start)
