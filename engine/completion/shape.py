"""Decoded text to suggestion: where it ends, and what of it is worth inserting.

A suggestion is always one slice of the decoded text; nothing is invented. Strings only: no tokens, no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.completion.prompt import Prompt

_OPENERS = (":", "{", "(", "[", ",", "->", "=>")  # a line that ends so goes on in the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The form that a suggestion may take at one place.

    Attributes:
        typed_space: Blanks that the decoded text is expected to repeat first.
        starts_line: True where nothing but blanks stands before the cursor on its line.
        single_line: True where the text ends with its line.
        block_indent: Least indentation of a block's further lines; a line indented less ends it.
        rest_of_line: What stands behind the cursor on its line.
    """

    typed_space: str
    starts_line: bool
    single_line: bool
    block_indent: int
    rest_of_line: str


def shape_at(prefix: str, suffix: str, prompt: Prompt, *, single_line: bool | None) -> Shape:
    """The shape of a suggestion between `prefix` and `suffix`; `single_line` None decides by the text."""
    line = prefix[prefix.rfind("\n") + 1 :]
    rest_of_line = suffix.partition("\n")[0]
    starts_line, opens_block = not line.strip(), line.rstrip().endswith(_OPENERS)
    if single_line is None:
        single_line = bool(rest_of_line.strip()) or not (starts_line or opens_block)
    return Shape(
        typed_space=prompt.typed_space,
        starts_line=starts_line,
        single_line=single_line,
        block_indent=_indent(line) + (1 if opens_block else 0),
        rest_of_line=rest_of_line,
    )


def is_complete(text: str, shape: Shape) -> bool:
    """True once more decoded text could not change the suggestion."""
    return _end(text, shape) is not None


def suggestion(text: str, shape: Shape) -> slice:
    """The part of the decoded text to insert at the cursor; empty where nothing is worth showing."""
    if text.startswith(shape.typed_space):
        start = len(shape.typed_space)
    elif shape.starts_line:
        return slice(0, 0)  # the model meant another indentation than the one typed
    else:
        start = len(text) - len(text.lstrip(" \t"))
    end = _end(text, shape)
    body = text[start:end].rstrip()
    rest = shape.rest_of_line.strip()
    if rest and body.endswith(rest):  # such as a bracket that the editor closed already
        body = body.removesuffix(rest).rstrip()
    return slice(start, start + len(body))


def _end(text: str, shape: Shape) -> int | None:
    """Where the suggestion ends in the decoded text; None where it may go on."""
    newline = text.find("\n")
    if shape.single_line:
        return newline if newline >= 0 else None
    while newline >= 0:
        next_newline = text.find("\n", newline + 1)
        line = text[newline + 1 : next_newline if next_newline >= 0 else len(text)]
        is_blank = not line.strip()
        if not is_blank and _indent(line) < shape.block_indent:
            return newline
        if is_blank and next_newline >= 0 and text[:newline].strip():
            return newline
        newline = next_newline
    return None


def _indent(line: str) -> int:
    expanded = line.expandtabs(4)
    return len(expanded) - len(expanded.lstrip(" "))
