"""Decoded text to suggestion: the rules, in their order, by which some of it is not offered.

A suggestion is always one slice of the decoded text; nothing is invented. What the rules know of the document is the
place's `Shape`; what they do is one module each. Strings only: no tokens, no model.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

from engine.completion.blocks import CLOSING_RUN, closed_length, stays_inside
from engine.completion.indentation import indent_of
from engine.completion.line import (
    ending_length,
    fitting_length,
    leaving_length,
    runs_into_rest,
    whole_words_length,
    without_open_access,
    without_open_comma,
    word_before,
)
from engine.completion.prompt import behind_typed
from engine.completion.repetition import repeats_from
from engine.completion.words import is_word
from engine.completion.worth import is_worth_showing, without_opened_mark, without_opened_string

if TYPE_CHECKING:
    from engine.completion.shape import Shape

# No text of a person: half a character, a carriage return before a line end that the editor writes, other controls.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ufffd]")
_WORD_PART = re.compile(r"[\w.,/\\-]", re.ASCII)  # such as `-based` or `.0`


class Cut(Protocol):
    """How many characters of a text stay, at the beginning."""

    def __call__(self, text: str, shape: Shape, /) -> int:
        """The length; that of the text where the rule finds nothing to object to."""
        ...


class Rule(NamedTuple):
    """One of the product's manners.

    Attributes:
        name: What is wrong with the text that is cut off.
        cut: How much stays.
        is_final: Whether what is cut off goes whatever is decoded behind it, so that decoding may end.
    """

    name: str
    cut: Cut
    is_final: bool


def _unprintable(text: str, shape: Shape) -> int:
    found = _UNPRINTABLE.search(text)
    return found.start() if found else len(text)


def _beyond_the_line(text: str, shape: Shape) -> int:
    newline = text.find("\n") if shape.single_line else -1
    return newline if newline >= 0 else len(text)


def _leaves_the_rest(text: str, shape: Shape) -> int:
    length = leaving_length(text, shape.line) if shape.single_line else None
    return len(text) if length is None else length


def _ends_the_statement(text: str, shape: Shape) -> int:
    in_text = shape.elements is not None and (not shape.elements.in_code or shape.elements.opened)
    length = None if in_text else ending_length(text, shape.line)
    return len(text) if length is None else length


def _closed_below(text: str, shape: Shape) -> int:
    """A string, a comment or code in a string is ended that the text behind the cursor ends."""
    at = shape.closed_below.left_at(text) if shape.closed_below is not None else None
    return len(text) if at is None else at


def _closes_an_element(text: str, shape: Shape) -> int:
    at = shape.elements.closed_again_at(text) if shape.elements is not None else None
    return len(text) if at is None else at


def _beyond_the_block(text: str, shape: Shape) -> int:
    end = None if shape.single_line else _block_end(text, shape)
    return len(text) if end is None else end


def _repeats_whole_lines(text: str, shape: Shape) -> int:
    whole = text[: max(0, text.rfind("\n"))]
    length = _repeats(whole, shape) if whole else 0
    return length if length < len(whole) else len(text)


def _repeats(text: str, shape: Shape) -> int:
    is_first_new = shape.starts_line or not text.startswith("\n")
    lines = (shape.head + text).split("\n")
    index = repeats_from(lines, shape.lines_above, shape.next_line, is_first_new=is_first_new)
    return len(text) if index is None else _line_start(text, index)


def _does_not_fit(text: str, shape: Shape) -> int:
    return _without_comma(text, text[: fitting_length(text, shape.line)], shape)


def _without_comma(text: str, kept: str, shape: Shape) -> int:
    """How much is kept; what the model would have said behind a comma is cut off, and so is the comma."""
    return len(kept if kept == text else without_open_comma(kept, shape.line))


def _closes_a_line_below(text: str, shape: Shape) -> int:
    if not shape.enclosing:
        return len(text)
    return closed_length(shape.enclosing, text, f"{shape.line.rest}\n{shape.closers}")


def _blank_end(text: str, shape: Shape) -> int:
    length = len(text.rstrip())
    return min(len(text), length + 1) if runs_into_rest(text[:length], shape.line) else length  # one tells words apart


def _opens_a_string(text: str, shape: Shape) -> int:
    return _without_comma(text, _without_opened(text, shape), shape)


def _without_opened(text: str, shape: Shape) -> str:
    kept = without_opened_string(text, shape.head, shape.ender)
    return kept if shape.line.is_code and not shape.line.is_prose else without_opened_mark(kept)


def _not_worth_showing(text: str, shape: Shape) -> int:
    return len(text) if is_worth_showing(text, shape.line) else 0


RULES = (
    Rule("no character of a person", _unprintable, is_final=True),
    Rule("beyond the line", _beyond_the_line, is_final=True),
    Rule("closes what the rest of the line closes", _leaves_the_rest, is_final=True),
    Rule("ends the statement that the rest goes on with", _ends_the_statement, is_final=True),
    Rule("ends the string or comment that the text behind ends", _closed_below, is_final=True),
    Rule("closes the element that the text behind closes", _closes_an_element, is_final=True),
    Rule("beyond the block", _beyond_the_block, is_final=True),
    Rule("says the same again", _repeats_whole_lines, is_final=True),
    Rule("says the same again in its last line", _repeats, is_final=False),
    Rule("does not fit before the rest of the line", _does_not_fit, is_final=False),
    Rule("closes what a line below closes", _closes_a_line_below, is_final=False),
    Rule("blanks at its end", _blank_end, is_final=False),
    Rule("opens a string and says nothing in it", _opens_a_string, is_final=False),
    Rule("not worth showing", _not_worth_showing, is_final=False),
)
"""What a suggestion never does: each is asked about what the ones before have left."""


def suggestion(text: str, shape: Shape) -> slice:
    """The part of the decoded text to insert at the cursor; empty where nothing is worth showing."""
    start = _start(text, shape)
    if start is None:
        return slice(0, 0)  # the model meant something else than what is typed
    return slice(start, start + len(_ruled(text[start:], shape)))


def is_complete(text: str, shape: Shape) -> bool:
    """True once more decoded text could not change the suggestion."""
    start = _start(text, shape)
    if start is None:
        return bool(text) and not shape.typed.startswith(text)
    body = text[start:]
    for rule in RULES:
        length = rule.cut(body, shape) if rule.is_final else len(body)
        if length < len(body):
            return shape.single_line or not _may_stay(body[length:], shape)
    return False


def without_half_line(text: str, part: slice) -> slice:
    """The part of a decoded text that was cut off by a limit, without the line that was under way, if others are left.

    Args:
        text: All that was decoded.
        part: What of it would be the suggestion.
    """
    line_start = text.rfind("\n", part.start, part.stop)
    if text[part.stop :].strip(" \t") or line_start < 0 or not text[part.start : line_start].strip():
        return part  # something was decoded behind it, or there is no line but this one
    return slice(part.start, part.start + len(text[part.start : line_start].rstrip()))


def without_half_word(text: str, part: slice, shape: Shape, prefix: str, suffix: str) -> slice:
    """The part of a decoded text that was cut off by a limit, without a last word that may go on.

    Args:
        text: All that was decoded.
        part: What of it would be the suggestion.
        shape: The shape of the place.
        prefix: The document before the cursor.
        suffix: The document behind it.
    """
    if part.stop < len(text) or part.start == part.stop:
        return part  # something was decoded behind it: its last word is whole
    body = text[part]
    document = f"{prefix.removesuffix(word_before(shape.head))} {suffix}"
    line = shape.head if "\n" not in body else ""
    kept = without_open_access(body[: whole_words_length(body, line, document)], shape.line)
    kept = without_open_comma(_without_opened(kept, shape), shape.line)
    return slice(part.start, part.start + len(_ruled(kept, shape)))  # a cut text may fit no more


def _ruled(body: str, shape: Shape) -> str:
    """What all rules leave of new text."""
    for rule in RULES:
        body = body[: rule.cut(body, shape)]
    return body


def _start(text: str, shape: Shape) -> int | None:
    """Where the new text begins; None before that, and where the model meant another indentation or another word."""
    start = behind_typed(text, shape.typed)
    is_other = (shape.starts_line and not text.startswith(shape.typed)) or _goes_on_word(text, shape)
    return None if is_other else start


def _goes_on_word(text: str, shape: Shape) -> bool:
    """Whether the model meant to go on with a word that the person has ended with a blank."""
    return shape.typed == " " and is_word(shape.head[-2:-1]) and _WORD_PART.match(text) is not None


def _block_end(body: str, shape: Shape) -> int | None:
    """Where the block that the text begins in ends; None where it may go on."""
    newline = body.find("\n")
    if shape.starts_line and newline >= 0 and not body[:newline].strip():
        return 0  # the line is there already, and blank
    n_more_lines, above = 0, shape.head + body[: newline if newline >= 0 else len(body)]
    while newline >= 0:
        if n_more_lines == shape.n_more_lines:
            return newline
        n_more_lines += 1
        next_newline = body.find("\n", newline + 1)
        line = body[newline + 1 : next_newline if next_newline >= 0 else len(body)]
        if line.strip():
            if indent_of(line) < shape.block_indent:
                is_whole = next_newline >= 0
                if not stays_inside(line, shape.block_indent, shape.head, is_whole=is_whole):
                    return _closed_end(line, newline, shape, is_whole=is_whole)
            elif shape.indentation.is_other(line, above):
                return newline
            above = line
        elif next_newline >= 0 and body[:newline].strip():
            return newline
        newline = next_newline
    return None


def _may_stay(rest: str, shape: Shape) -> bool:
    """Whether the line that a block ended at may turn out to belong to it."""
    line = rest.removeprefix("\n")
    if len(line) == len(rest) or not line.strip() or "\n" in line or indent_of(line) >= shape.block_indent:
        return False
    return stays_inside(line, shape.block_indent, shape.head, is_whole=False) is None


def _closed_end(line: str, newline: int, shape: Shape, *, is_whole: bool) -> int | None:
    """The end of a block at a line that leaves it: behind the bracket that closes it, if that is still wanted."""
    text = line.lstrip()
    run = CLOSING_RUN.match(text)
    if run is None or text[0] != shape.closer or indent_of(line) != shape.closer_indent:
        return newline
    end = len(line) - len(text) + run.end()
    return newline + 1 + end if is_whole or end < len(line) else None


def _line_start(body: str, index: int) -> int:
    """Where the line ends that stands before line `index`; 0 for the first."""
    at = 0
    for _ in range(index):
        at = body.index("\n", at) + 1
    return max(0, at - 1)
