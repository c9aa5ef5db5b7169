"""`Shape`: the form that a suggestion may take at one place, told once from the text around the cursor.

What of a decoded text then fits, `engine.completion.cleanup` says. Strings only: no tokens, no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.completion.blocks import (
    enclosing,
    filled,
    filled_upwards,
    open_bracket,
    opening_line,
    shortened,
    wants_block,
)
from engine.completion.closing import Inside, closed_below
from engine.completion.indentation import Indentation, indent_of, indentation_of
from engine.completion.languages import language_named
from engine.completion.lexical import CODE, place_at
from engine.completion.line import Line, line_at
from engine.completion.repetition import LINES_ABOVE
from engine.completion.tags import Elements, elements_at

if TYPE_CHECKING:
    from engine.completion.prompt import Prompt

_LINES_BEHIND = 3
"""Lines offered behind a line that is filled; a fourth one kept nothing (engine/LOG.md, "Length and shape: behind an
accepted suggestion, where blocks end, and typing while nothing is known yet")."""

# `a)` begins a case in a shell, and nothing opened it; a plain value is a text.
_WITHOUT_PAIRS = frozenset({"bash", "basemake", "docker", "yaml"})
_CODE_WITH_TAGS = frozenset({"javascript", "typescript", "php"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The form that a suggestion may take at one place.

    Attributes:
        typed: What the decoded text is expected to say again first.
        head: The cursor's line before the cursor; of a long one its two ends.
        line: That line's brackets, and what stands behind the cursor.
        single_line: True where the text ends with its line.
        n_more_lines: How many lines a block may have behind the cursor's; None where it ends by itself.
        block_indent: Least indentation of a block's further lines; a line indented less ends it.
        lines_above: The last lines before the cursor's that are not blank.
        next_line: The first line behind the cursor's that is not blank, or "".
        closers: The brackets that close what the cursor stands in, at the beginning of a line below; "" without one.
        enclosing: The document from the line that opened them to the cursor; "" where that line is not near.
        closer: The bracket that would close the block that the cursor stands in, where nothing closes it yet, or "".
        closer_indent: Indentation of the line that it would stand on.
        indentation: What the document is indented by.
        closed_below: The comment, the string or the code in a string that the cursor stands in, where the text behind
            the cursor ends it; else None.
        ender: What ends the comment or string that the cursor stands in; "" where its line does, and in code.
        elements: The elements around the cursor; None in a language without.
    """

    typed: str
    head: str
    line: Line
    single_line: bool
    n_more_lines: int | None
    block_indent: int
    lines_above: tuple[str, ...]
    next_line: str
    closers: str
    enclosing: str
    closer: str
    closer_indent: int
    indentation: Indentation
    closed_below: Inside | None
    ender: str
    elements: Elements | None

    @property
    def starts_line(self) -> bool:
        """True where nothing but blanks stands before the cursor on its line."""
        return not self.head.strip()


def shape_at(prefix: str, suffix: str, prompt: Prompt, *, single_line: bool | None, language_id: str = "") -> Shape:
    """The shape of a suggestion between `prefix` and `suffix`.

    Args:
        prefix: The document before the cursor.
        suffix: The document behind it.
        prompt: What the model reads of them.
        single_line: Whether the text ends with its line; None decides by the text.
        language_id: The editor's name of the language; "" knows nothing of comments, strings and elements.
    """
    language, place = language_named(language_id), place_at(prefix, language_id)
    enclosure = CODE if place is None else place.enclosure
    elements = elements_at(prefix, suffix, in_code=language.lexer in _CODE_WITH_TAGS) if language.has_tags else None
    is_text = place is not None and place.is_between_tags
    is_in_tag = elements is not None and elements.in_code and bool(elements.tag)  # what it closes, `elements` knows
    if elements is not None and not elements.in_code:
        is_text = not elements.tag
    is_known = enclosure.part == "code" or (enclosure.part == "string" and not enclosure.closer)  # of this line alone
    apostrophes = language.apostrophes if language_id and is_known else "guessed"
    line_start = prefix.rfind("\n") + 1
    rest_of_line, _, below = suffix.partition("\n")
    line = line_at(
        prefix[line_start:],
        rest_of_line,
        is_code=bool(language_id) and enclosure.part == "code",
        is_prose=is_text or language.is_prose,
        with_angles=language.has_type_parameters and not is_in_tag,
        apostrophes="transposes" if is_text else apostrophes,  # of prose: none begins behind a word
    )
    head = shortened(prefix[line_start:])
    above = filled_upwards(prefix[:line_start])
    opener, opener_indent = opening_line(head, above)
    is_opener = bool(head.strip() and opener)
    if single_line is None:
        single_line = bool(rest_of_line.strip()) or not wants_block(head, above, below)
    lines_below = list(filled(below))
    is_known_code = place is not None and line.is_code and not line.is_prose
    pairs_brackets = is_known_code and language.lexer not in _WITHOUT_PAIRS
    opened, closers = enclosing(head, above, lines_below if pairs_brackets else lines_below[:1])
    return Shape(
        typed=prompt.typed,
        head=head,
        line=line,
        single_line=single_line,
        n_more_lines=_LINES_BEHIND if head.strip() and not is_opener else None,
        block_indent=opener_indent + 1 if is_opener else indent_of(head),
        lines_above=tuple(reversed(above[:LINES_ABOVE])),
        next_line=lines_below[0] if lines_below else "",
        closers=closers,
        enclosing=opened if closers or pairs_brackets else "",
        closer=open_bracket(opener, opener_indent, suffix),
        closer_indent=opener_indent,
        indentation=indentation_of([*reversed(above), *lines_below], head),
        closed_below=None if line.is_code_open else closed_below(prefix, suffix, language_id),
        ender=enclosure.closer,
        elements=elements,
    )
