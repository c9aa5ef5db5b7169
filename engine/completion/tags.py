"""Elements between angle brackets around a cursor, as in HTML and JSX: what is open, and what closes it behind.

It reads no document type: an element is closed by its name. Strings only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

_SEEN_CHARS = 8_192  # on each side of the cursor
_VOID = re.compile("area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr", re.IGNORECASE)
_BETWEEN_TAGS = re.compile(r"<!--.*?(?:-->|\Z)|</([\w:.-]*)[^\S\n]*>?|<([A-Za-z][\w:.-]*)|<>", re.DOTALL)
# In code `a<b` compares and `A<b>` has type parameters: a tag stands behind neither a name nor a bracket.
_IN_CODE = re.compile(r"</([\w:.-]*)[^\S\n]*>?|(?<![\w)\]])<([A-Za-z][\w:.-]*)|(?<![\w)\]])<>")
_IN_TAG = re.compile(r"/\s*>|(?<!=)>|\"[^\"]*\"|'[^']*'|[\"'{}]")
_QUOTES = ('"', "'")
TAG_END = ">"


class Closing(NamedTuple):
    """What closes something that was open before a text.

    Attributes:
        at: Its place in the text.
        name: The element's name; `TAG_END` for what ends the tag that the text begins in.
    """

    at: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Elements:
    """The elements around a cursor.

    Attributes:
        opened: Names of those that are open, the innermost last; "" for a fragment.
        in_tag: Whether the cursor stands inside a tag.
        braces: How many brackets of code are open inside that tag.
        quote: What ends the value in that tag that the cursor stands in; "" where it stands in none.
        in_code: Whether the elements stand in code, as in JSX.
        closed: What the text behind the cursor closes, each as often as it does.
    """

    opened: tuple[str, ...]
    in_tag: bool
    braces: int
    quote: str
    in_code: bool
    closed: tuple[str, ...]

    def closed_again_at(self, body: str) -> int | None:
        """Where new text closes what that behind the cursor closes, or something around it; None where not."""
        opened = list(self.opened)
        read = _read(body, in_tag=self.in_tag, braces=self.braces, quote=self.quote, in_code=self.in_code)
        for at, name in read.closings:
            n_open = 1 if name == TAG_END else max(1, self.opened.count(name))
            is_around = name in opened and opened[-1] != name and opened[-1] in self.closed
            if self.closed.count(name) >= n_open or is_around:
                return at
            while name in opened and opened.pop() != name:
                pass
        return None


def elements_at(prefix: str, suffix: str, *, in_code: bool) -> Elements:
    """The elements around a cursor.

    Args:
        prefix: The document before it.
        suffix: The document behind it.
        in_code: Whether the language is code with elements in it.
    """
    before = _read(prefix[-_SEEN_CHARS:], in_tag=False, braces=0, quote="", in_code=in_code)
    behind = _read(
        suffix[:_SEEN_CHARS], in_tag=before.in_tag, braces=before.braces, quote=before.quote, in_code=in_code
    )
    return Elements(
        opened=before.opened,
        in_tag=before.in_tag,
        braces=before.braces,
        quote=before.quote,
        in_code=in_code,
        closed=tuple(closing.name for closing in behind.closings),
    )


class _Read(NamedTuple):
    """What a text opens and closes."""

    opened: tuple[str, ...]
    closings: list[Closing]
    in_tag: bool
    braces: int
    quote: str


def _read(text: str, *, in_tag: bool, braces: int, quote: str, in_code: bool) -> _Read:
    opened: list[str] = []
    closings: list[Closing] = []
    tag: str | None = None  # the one that is being read, where it begins in the text
    between_tags = _IN_CODE if in_code else _BETWEEN_TAGS
    at = text.find(quote) + len(quote)
    if quote and at < len(quote):
        return _Read((), [], in_tag, braces, quote)
    while (found := (_IN_TAG if in_tag else between_tags).search(text, at)) is not None:
        at, sign = found.end(), found[0]
        if not in_tag:
            in_tag, braces, tag = _between_tags(found, opened, closings), 0, found.group(2)
        elif sign in ("{", "}"):
            braces = max(0, braces + (1 if sign == "{" else -1))
        elif sign in _QUOTES and not braces:  # nothing ends it; in code it may be a sign of a text
            return _Read(tuple(opened), closings, in_tag, braces, sign)
        elif sign.endswith(">") and not braces:
            if tag is None:
                closings.append(Closing(found.start(), TAG_END))
            elif sign == ">" and (in_code or not _VOID.fullmatch(tag)):
                opened.append(tag)
            in_tag = False
    return _Read(tuple(opened), closings, in_tag, braces, "")


def _between_tags(found: re.Match[str], opened: list[str], closings: list[Closing]) -> bool:
    """Takes in a sign that stands outside of tags; says whether it begins one."""
    sign = found[0]
    if sign == "<>":
        opened.append("")
    elif not sign.startswith(("</", "<!--")):
        return True
    elif sign.startswith("</") and found[1] in opened:
        while opened.pop() != found[1]:
            pass
    elif sign.startswith("</"):
        closings.append(Closing(found.start(), found[1]))
    return False
