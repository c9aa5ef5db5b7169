r"""Blocks of code around a cursor, told by indentation and brackets: what opened them, and whether lines are missing.

It knows no decoded text, and of a language nothing but words that many share. Strings only; lines are without "\n", and
lists of lines without blank ones. Lines above come with the last first.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING

from engine.completion.brackets import CLOSERS, CLOSING, QUOTES, residue
from engine.completion.indentation import indent_of
from engine.completion.languages import COMMENT_BEGIN, TRAILING_COMMENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CLOSING_RUN = re.compile(r"[)\]}]+[;,]?")
"""How a block's last line begins."""

_OPENERS = (":", "{", "(", "[", ",", "->", "=>")  # a line that ends so goes on in the next
_OPENING_WORD = re.compile(r"(?<![\w.])(do|then|begin)\Z")
_GOES_ON = re.compile(r"[-+*/%&|^=<>.?\\]\Z|(?<![\w.])(?:and|or|not|in|is|as|if|else|new|return|extends|implements)\Z")
_CONDITION = re.compile(r"(?:&&|\|\|)\Z")
_HEADER = re.compile(r"&&|\|\||(?:throws|extends|implements|where)\b")  # how a further line before a block begins
_LEAVES = re.compile(r"(?:return|break|continue|raise|throw|goto|pass)\b")  # nothing follows it in its block
_HEAD_OF_PYTHON = re.compile(r"\s*(?:if|elif|while|for|with)\b(?!\s*\().*:\s*\Z")
_SWITCH = re.compile(r"\bswitch\b")
_LABELS = ("case", "default")  # stand where their block's opening line does, by many a style
_DIRECTIVES = ("#if", "#ifdef", "#ifndef", "#elif", "#else", "#endif", "#include", "#define", "#undef", "#pragma")
_FIRST_WORD = re.compile(r"#?\w*")
_LINES_SEARCHED = 200  # for the opening line of a block, and for how it is indented
_ENCLOSING_LINES = 30  # beyond them a bracket's partner is not looked for
_END_CHARS = 500  # of a long line, at each end, that are read
_CHARACTER = re.compile(r"\\[)\]}]|(?<=\[)\^?[)}]")  # such as `\)` and `[^)]`
_PIECES = frozenset(CLOSING) | CLOSERS | QUOTES
_STATEMENT_LINES = 12  # that a statement may have before its block


def wants_block(head: str, above: Sequence[str], below: str) -> bool:
    """Whether several lines are welcome: in a block that is empty so far, or where nothing follows."""
    following = next(filled(below), "")
    if opens_block(head):
        return indent_of(following) <= statement_indent(head, above)
    if head.strip():
        return False
    next_line = below.partition("\n")[0]
    return not next_line.strip() or indent_of(next_line) < indent_of(head)


def invites_lines(prefix: str, suffix: str) -> bool:
    """Whether further lines are welcome behind the cursor's line, where a suggestion has just been accepted.

    They are where that line ends a statement, nothing follows it in its block, and something may.
    """
    head = shortened(prefix[prefix.rfind("\n") + 1 :])
    rest_of_line, _, below = suffix.partition("\n")
    code = _code(head).strip()
    if rest_of_line.strip() or not head.strip() or opens_block(head):
        return False
    if residue(code).openers or _GOES_ON.search(code) or _LEAVES.match(code):
        return False
    next_line = below.partition("\n")[0]
    return not next_line.strip() or indent_of(next_line) < indent_of(head)


def opens_block(line: str) -> bool:
    """Whether what follows a line belongs inside it."""
    code = _code(line)
    open_ = residue(code)
    if open_.in_string or (code.endswith(":") and open_.openers):  # a slice, a mapping, a type of a parameter
        return False
    return code.endswith(_OPENERS) or _OPENING_WORD.search(code) is not None


def statement_indent(line: str, above: Sequence[str]) -> int:
    """How the first line of a line's statement is indented, as where parameters take several lines."""
    statement, indent = line, indent_of(line)
    for upper in (*above[:_STATEMENT_LINES], ""):
        has_begun = any(char in ")]" for char in residue(statement).closers)
        goes_on = _HEADER.match(statement.lstrip()) or _CONDITION.search(_code(upper))
        if not has_begun and not (goes_on and indent_of(upper) < indent):
            return indent
        statement, indent = f"{upper}\n{statement}", indent_of(upper)
    return indent_of(line)  # too long to tell


def opening_line(head: str, above: Sequence[str]) -> tuple[str, int]:
    """The line that opened the block of the cursor, and how its statement is indented; "" where there is none.

    That is the cursor's own line, or the nearest above it whose statement is indented less.
    """
    if head.strip():
        return (head, statement_indent(head, above)) if opens_block(head) else ("", 0)
    for at, line in enumerate(above):
        is_outside = indent_of(line) < indent_of(head)
        if is_outside or _code(line).endswith(("{", ":")):
            indent = statement_indent(line, above[at + 1 :])
            if is_outside or indent < indent_of(head):
                return line, indent
    return "", 0


def stays_inside(line: str, block_indent: int, head: str, *, is_whole: bool) -> bool | None:
    """Whether a line that is indented less than a block belongs to it all the same; None where too little is known.

    Directives of C's preprocessor do, and the labels of a `switch` where they are not indented.

    Args:
        line: The line, or how it begins.
        block_indent: Least indentation of other lines of the block.
        head: The line that opened the block, where it is the cursor's.
        is_whole: Whether `line` is all of it.
    """
    word = _FIRST_WORD.match(line.lstrip())
    assert word is not None
    is_label = indent_of(line) == block_indent - 1 and _SWITCH.search(head)
    known = (*_DIRECTIVES, *_LABELS) if is_label else _DIRECTIVES
    if is_whole or word.end() < len(line.lstrip()):
        return word.group() in known
    return None if any(each.startswith(word.group()) for each in known) else False


def open_bracket(opener: str, indent: int, suffix: str) -> str:
    """What closes the block that a line opened; "" where there is no bracket, or it is closed behind the cursor.

    Args:
        opener: The line.
        indent: The indentation of its statement.
        suffix: The document behind the cursor.
    """
    closer = CLOSING.get(_code(opener)[-1:], "")
    rest, _, below = suffix.partition("\n")
    outer = next((line for line in filled(below) if indent_of(line) <= indent), "")
    is_closed = rest.lstrip()[:1] in CLOSERS or (indent_of(outer) == indent and outer.lstrip()[:1] == closer)
    return "" if is_closed else closer


def enclosing(head: str, above: Sequence[str], below: Sequence[str]) -> tuple[str, str]:
    """The text from where it was opened what a line below closes by the brackets it begins with, and those brackets.

    That line is the next one, or the first whose text stands further left than the cursor's line, or than what that
    line has opened. Where there is none, the text begins with the nearest line that is not indented. It goes to the
    cursor; "" where that is not near.

    Args:
        head: The cursor's line before the cursor.
        above: The lines above it, the last first.
        below: The lines behind it.
    """
    least, next_line = indent_of(head), below[0] if below else ""
    opens = bool(residue(head).openers) and indent_of(next_line) > least
    outer = next((line for line in below if indent_of(line) < least + opens), "")
    closing = next((line for line in (next_line, outer) if closing_run(line)), "")
    if opens and closing and indent_of(closing) == least:
        return head, closing_run(closing)
    outer_indent = indent_of(closing)  # that of a file where nothing is closed
    inner = list(takewhile(lambda line: indent_of(line) > outer_indent, above))
    is_near = len(inner) < len(above) and len(inner) <= _ENCLOSING_LINES
    if not is_near or (not closing and (not least or above[len(inner)].startswith("#"))):
        return "", ""
    n_lines = len(inner) + 1 + above[len(inner)].lstrip().startswith("{")  # whose statement is the line above
    return "\n".join([*reversed(above[:n_lines]), head]), closing_run(closing)


def closing_run(line: str) -> str:
    """The closing brackets that a line begins with."""
    run = CLOSING_RUN.match(line.lstrip())
    return run.group().rstrip(";,") if run else ""


def closed_length(enclosing: str, body: str, closers: str) -> int:
    """How much of `body` stands before a bracket that closes what a line below closes, or that nothing opened.

    Args:
        enclosing: The document from where that line's brackets were opened to the cursor.
        body: New text, of one or several lines.
        closers: The rest of the cursor's line, and the closing brackets that the line below begins with.
    """
    if not residue(body).closers:
        return len(body)

    def stray(end: int) -> int:
        return len(residue(_code_of_lines(f"{enclosing}{body[:end]}\n{closers}")).closers)

    wanted = len(residue(_code_of_lines(f"{enclosing}\n{closers}")).closers)
    lengths = (len(body), *(at for at in range(len(body) - 1, -1, -1) if body[at] in _PIECES))
    return next((at for at in lengths if stray(at) <= wanted), len(body))


def filled(text: str) -> Iterator[str]:
    """The first lines that are not blank; of long ones their two ends."""
    return (shortened(line) for line in text.split("\n", _LINES_SEARCHED)[:_LINES_SEARCHED] if line.strip())


def filled_upwards(text: str) -> list[str]:
    """The last lines that are not blank, the last first; of long ones their two ends."""
    lines = text.rsplit("\n", _LINES_SEARCHED)[-_LINES_SEARCHED:]
    return [shortened(line) for line in reversed(lines) if line.strip()]


def shortened(line: str) -> str:
    """A line as it is, or of a long one its two ends: what opens, closes and indents a block stands there."""
    return line if len(line) <= 2 * _END_CHARS else line[:_END_CHARS] + line[-_END_CHARS:]


def _code_of_lines(text: str) -> str:
    """Lines without comments, and without brackets that are characters of a regular expression."""
    lines = ("" if COMMENT_BEGIN.match(line) else _code(line) for line in text.split("\n"))
    return _CHARACTER.sub("", "\n".join(lines))


def _code(line: str) -> str:
    """A line without the comment that ends it; `//` may divide instead, as in Python."""
    code = TRAILING_COMMENT.sub("", line).rstrip()
    is_whole = _HEAD_OF_PYTHON.match(line) or (residue(code).openers and not residue(line).openers)
    return line.rstrip() if is_whole and "#" not in line[len(code) :] else code
