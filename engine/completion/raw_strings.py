"""Strings that begin and end by more than quotes and may go over several lines, such as heredocs.

It knows no lexer: what stands in another string or in a comment is for those to say. Strings only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

# Several of a line follow one another. A shell's `((a << b))` is a shift, Ruby's `a << b` calls a method.
_HEREDOCS = {
    **dict.fromkeys(("shellscript", "terraform", "hcl"), (r"(?<!<)<<-?[ \t]*\\?", r"[A-Za-z_]\w*", r"[^\n)]*\n")),
    "perl": (r"(?<![\w)\]])<<~?", r"[A-Za-z_]\w*", r"[^\n]*\n"),
    "php": (r"<<<[ \t]*", r"[A-Za-z_]\w*", r"\n"),
    "ruby": (r"(?<![\w)\]])<<[-~]?", r"[A-Z_]\w*", r"[^\n]*\n"),
}
_CODE_BEHIND_NAME = "php"  # the line of a heredoc's end goes on there
_OTHERS = {
    "cpp": (r"\w{0,2}R\"([^(\s]{0,16})\(", r')\1"'),
    "csharp": (r"\$?@\$?\"", '"'),
    "lua": (r"\[(=*)\[", r"]\1]"),
    "nix": (r"''", "''"),
    "ocaml": (r"\{([a-z_]*)\|", r"|\1}"),
    "rust": (r"b?r(#*)\"", r'"\1'),
    "zig": (r"\\\\", ""),
    "swift": (r"(#+)(\"(?:\"\")?)", r"\2\1"),
    **dict.fromkeys(("xml", "xsl", "html"), (r"<!\[CDATA\[", "]]>")),
}
_READ_BY_LEXERS = "csharp nix zig"  # which know what stands for their quotes in them


class Raw(NamedTuple):
    """A string at a place.

    Attributes:
        opener: What begins it.
        closer: What ends it.
        is_open: Whether nothing ends it.
        end: Where it ends, or the text does; None where a lexer must say.
    """

    opener: str
    closer: str
    is_open: bool
    end: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RawStrings:
    """How a language's raw strings begin and end.

    Attributes:
        opener: Pattern of what begins them.
        closer: What ends them, made from the opener's match.
        is_read_by_lexer: Whether the language's lexer knows better where one ends.
    """

    opener: re.Pattern[str]
    closer: str
    is_read_by_lexer: bool

    def at(self, text: str, at: int) -> Raw | None:
        """The raw string that begins at a place; None where none does."""
        found = self.opener.match(text, at)
        if found is None:
            return None
        closer = found.expand(self.closer)
        end = text.find(closer, found.end())
        if end < 0:
            return Raw(found[0], closer, is_open=True, end=len(text))
        return Raw(found[0], closer, is_open=False, end=None if self.is_read_by_lexer else end + len(closer))


@dataclass(frozen=True, slots=True, kw_only=True)
class Heredocs:
    """How a language's heredocs begin and end.

    Attributes:
        mark: Pattern of what names one.
        opener: Pattern of the line from a first mark on.
        line_end: Pattern of what may follow the name that ends one.
    """

    mark: re.Pattern[str]
    opener: re.Pattern[str]
    line_end: str

    def at(self, text: str, at: int) -> Raw | None:
        """The first open one of those that a line names from a place on, or the last; None where it names none."""
        found = self.opener.match(text, at)
        if found is None:
            return None
        raw, begin = None, found.end()
        for mark in self.mark.finditer(text, at, begin):
            name = mark["bare"] or mark["quoted"]
            end = re.compile(rf"^[ \t]*{re.escape(name)}{self.line_end}", re.MULTILINE).search(text, begin)
            raw = Raw(text[at:begin], name, is_open=end is None, end=end.end() if end else len(text))
            if end is None:
                break
            begin = end.end()
        return raw


def raw_strings_of(language_id: str) -> RawStrings | Heredocs | None:
    """What a language has of them; None where that is nothing."""
    if language_id in _HEREDOCS:
        begins, bare, rest = _HEREDOCS[language_id]
        mark = rf"{begins}(?:(?P<bare>{bare})|(?P<quote>[\"'`])(?P<quoted>[^\n]+?)(?P=quote))"
        line_end = r"(?!\w)" if language_id == _CODE_BEHIND_NAME else r"(?=[ \t]*$)"
        return Heredocs(mark=re.compile(mark), opener=re.compile(mark + rest), line_end=line_end)
    if language_id in _OTHERS:
        opener, closer = _OTHERS[language_id]
        is_read = language_id in _READ_BY_LEXERS.split()
        return RawStrings(opener=re.compile(opener), closer=closer, is_read_by_lexer=is_read)
    return None
