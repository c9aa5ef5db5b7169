"""Decoded text to suggestion: where it ends, and what of it is worth inserting.

A suggestion is always one slice of the decoded text; nothing is invented. Where a block ends is told by indentation and
brackets. Strings only: no tokens, no model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.completion.blocks import (
    CLOSING_RUN,
    closing_run,
    enclosing,
    filled,
    filled_upwards,
    indent_of,
    open_bracket,
    opening_line,
    stays_inside,
    wants_block,
)
from engine.completion.cleanup import (
    closed_length,
    fitting_length,
    leaving_length,
    printable_length,
    whole_words_length,
)
from engine.completion.repetition import LINES_ABOVE, repeats_from

if TYPE_CHECKING:
    from engine.completion.prompt import Prompt

_EMPTY_COMMENT = re.compile(r"#+|//+|/?\*+|--+|<!--|%+")
_LINES_BEHIND = 3  # behind a line that is filled; what further ones would bring is in engine/LOG.md
_INDENTATION = "  "  # a single space aligns, as in block comments


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    r"""The form that a suggestion may take at one place.

    Attributes:
        typed_space: Blanks that the decoded text is expected to repeat first.
        head: The cursor's line before the cursor.
        single_line: True where the text ends with its line.
        n_more_lines: How many lines a block may have behind the cursor's; None where it ends by itself.
        block_indent: Least indentation of a block's further lines; a line indented less ends it.
        rest_of_line: What stands behind the cursor on its line.
        lines_above: The last lines before the cursor's that are not blank.
        next_line: The first line behind the cursor's that is not blank, or "".
        enclosing: Where `next_line` begins with closing brackets, the document from the line that opened them to the
            cursor; "" where that line is not near.
        closer: The bracket that would close the block that the cursor stands in, where nothing closes it yet, or "".
        closer_indent: Indentation of the line that it would stand on.
        indented_by: What the document is indented by, "\t" or spaces; "" where it is neither or both.
    """

    typed_space: str
    head: str
    single_line: bool
    n_more_lines: int | None
    block_indent: int
    rest_of_line: str
    lines_above: tuple[str, ...]
    next_line: str
    enclosing: str
    closer: str
    closer_indent: int
    indented_by: str

    @property
    def starts_line(self) -> bool:
        """True where nothing but blanks stands before the cursor on its line."""
        return not self.head.strip()


def shape_at(prefix: str, suffix: str, prompt: Prompt, *, single_line: bool | None) -> Shape:
    """The shape of a suggestion between `prefix` and `suffix`; `single_line` None decides by the text."""
    head = prefix[prefix.rfind("\n") + 1 :]
    rest_of_line, _, below = suffix.partition("\n")
    above = filled_upwards(prefix[: len(prefix) - len(head)])
    opener, opener_indent = opening_line(head, above)
    is_opener = bool(head.strip() and opener)
    if single_line is None:
        single_line = bool(rest_of_line.strip()) or not wants_block(head, above, below)
    next_line = next(filled(below), "")
    return Shape(
        typed_space=prompt.typed_space,
        head=head,
        single_line=single_line,
        n_more_lines=_LINES_BEHIND if head.strip() and not is_opener else None,
        block_indent=opener_indent + 1 if is_opener else indent_of(head),
        rest_of_line=rest_of_line,
        lines_above=tuple(reversed(above[:LINES_ABOVE])),
        next_line=next_line,
        enclosing=enclosing(head, above, next_line),
        closer=open_bracket(opener, opener_indent, suffix),
        closer_indent=opener_indent,
        indented_by=_indented_by(head, [*above, *filled(below)]),
    )


def is_complete(text: str, shape: Shape) -> bool:
    """True once more decoded text could not change the suggestion."""
    end = _end(text, shape)
    return end is not None and (shape.single_line or not _may_stay(text[end:], shape))


def suggestion(text: str, shape: Shape) -> slice:
    """The part of the decoded text to insert at the cursor; empty where nothing is worth showing."""
    start = _start(text, shape)
    if start is None:
        return slice(0, 0)  # the model meant another indentation than the one typed
    end = _end(text, shape)
    body = text[start:end]
    repeated = repeats_from(_lines(body, shape), shape.lines_above, shape.next_line)
    if repeated is not None:
        body = body[: _line_start(body, repeated)]
    body = body[: fitting_length(shape.head, body, shape.rest_of_line)]
    if shape.enclosing and not shape.rest_of_line.strip() and not shape.closer:
        body = body[: closed_length(shape.enclosing, body, closing_run(shape.next_line))]
    if shape.starts_line and _EMPTY_COMMENT.fullmatch(body.strip()):
        body = ""
    return slice(start, start + len(body.rstrip()))


def without_half_word(text: str, part: slice, shape: Shape, prefix: str, suffix: str) -> slice:
    """The part of a decoded text that was cut off by a limit, without a last word that may go on.

    Args:
        text: All that was decoded.
        part: What of it would be the suggestion.
        shape: Of the place.
        prefix: The document before the cursor.
        suffix: The document behind it.
    """
    if part.stop < len(text) or part.start == part.stop:
        return part  # something was decoded behind it: its last word is whole
    body, under_cursor = text[part], re.search(r"\w*\Z", shape.head)
    assert under_cursor is not None
    document = f"{prefix[: len(prefix) - len(under_cursor.group())]} {suffix}"
    line = shape.head if "\n" not in body else ""
    return slice(part.start, part.start + whole_words_length(body, line, document))


def _start(text: str, shape: Shape) -> int | None:
    if text.startswith(shape.typed_space):
        return len(shape.typed_space)
    return None if shape.starts_line else len(text) - len(text.lstrip(" \t"))


def _end(text: str, shape: Shape) -> int | None:
    """Where the suggestion ends in the decoded text; None where it may go on."""
    start = _start(text, shape)
    if start is None:
        return 0 if text and not shape.typed_space.startswith(text) else None
    usable = start + printable_length(text[start:])
    body = text[start:usable]
    end = _line_end(body, shape) if shape.single_line else _block_end(body, shape)
    whole = body[: body.rfind("\n")] if end is None and "\n" in body else None
    if whole is not None:
        repeated = repeats_from(_lines(whole, shape), shape.lines_above, shape.next_line)
        end = None if repeated is None else _line_start(whole, repeated)
    if end is not None:
        return start + end
    return usable if usable < len(text) else None


def _line_end(body: str, shape: Shape) -> int | None:
    newline = body.find("\n")
    line = body[:newline] if newline >= 0 else body
    left = leaving_length(shape.head, line, shape.rest_of_line)
    return left if left is not None else newline if newline >= 0 else None


def _block_end(body: str, shape: Shape) -> int | None:
    newline = body.find("\n")
    if shape.starts_line and newline >= 0 and not body[:newline].strip():
        return 0  # the line is there already, and blank
    n_more_lines = 0
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
            elif _is_indented_wrongly(line, shape):
                return newline
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


def _is_indented_wrongly(line: str, shape: Shape) -> bool:
    return bool(shape.indented_by) and _indentation_of(line) not in {"", shape.indented_by}


def _indented_by(head: str, others: list[str]) -> str:
    kinds = {_indentation_of(line) for line in others} - {""}
    return _indentation_of(head) or (kinds.pop() if len(kinds) == 1 else "")


def _indentation_of(line: str) -> str:
    return next((kind for kind in ("\t", _INDENTATION) if line.startswith(kind)), "")


def _lines(body: str, shape: Shape) -> list[str]:
    """The new lines, the first with what stands before it."""
    return (shape.head + body).split("\n")


def _line_start(body: str, index: int) -> int:
    """Where the line ends that stands before line `index`; 0 for the first."""
    at = 0
    for _ in range(index):
        at = body.index("\n", at) + 1
    return max(0, at - 1)
