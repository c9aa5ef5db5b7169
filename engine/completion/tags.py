"""Elements between angle brackets around a cursor, as in HTML and JSX: what is open, and what closes it behind.

It reads no document type: an element is closed by its name. Strings only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

_SEEN_CHARS = 8_192  # on each side of the cursor
_VOID = re.compile("area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr", re.IGNORECASE)
_CLOSES = r"</([\w:.-]*)(?:[^\S\n]*>|(?=[^\w:.-]))"  # what follows its name, or more of that may
_BETWEEN_TAGS = re.compile(rf"<!--.*?(?:-->|\Z)|{_CLOSES}|<([A-Za-z][\w:.-]*)|<>", re.DOTALL)
# In code `a<b` compares and `A<b>` has type parameters: a tag stands behind neither a name nor a bracket.
_IN_CODE = re.compile(rf"{_CLOSES}|(?<![\w)\]])<([A-Za-z][\w:.-]*)|(?<![\w)\]])<>")
_IN_TAG = re.compile(r"/\s*>|(?<!=)>|\"[^\"]*\"|'[^']*'|[\"'{};]|(?<!\w)</?(?=[A-Za-z>])")
_BEGINS_TAG = re.compile(r"(?<![\w)\]])<\Z")
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
        tag: The tag that the cursor stands in, as far as it is written; "" between tags.
        in_code: Whether the elements stand in code, as in JSX.
        closed: What the text behind the cursor closes, each as often as it does.
    """

    opened: tuple[str, ...]
    tag: str
    in_code: bool
    closed: tuple[str, ...]

    def closed_again_at(self, body: str) -> int | None:
        """Where new text closes what that behind the cursor closes, or something around it; None where not."""
        opened = list(self.opened)
        for at, name in _read(self.tag + body, len(self.tag), in_code=self.in_code).closings:
            n_open = 1 if name == TAG_END else max(1, self.opened.count(name))
            is_around = name in opened and opened[-1] != name and opened[-1] in self.closed
            if self.closed.count(name) >= n_open or is_around:
                return at - len(self.tag)
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
    seen = prefix[-_SEEN_CHARS:]
    before = _read(seen, 0, in_code=in_code)
    tag = seen[before.tag_start :]
    behind = _read(tag + suffix[:_SEEN_CHARS], len(tag), in_code=in_code)
    return Elements(
        opened=before.opened, tag=tag, in_code=in_code, closed=tuple(closing.name for closing in behind.closings)
    )


class _Read(NamedTuple):
    """What a text opens and closes, and where a tag begins that it does not end."""

    opened: tuple[str, ...]
    closings: list[Closing]
    tag_start: int


def _read(text: str, start: int, *, in_code: bool) -> _Read:
    """What a text opens and closes; where something begins before `start` and ends behind it, that is closed."""
    opened: list[str] = []
    closings: list[Closing] = []
    tag: re.Match[str] | None = None  # that is being read
    braces, at = 0, 0  # how many brackets of code are open in it
    while (found := (_IN_TAG if tag else _IN_CODE if in_code else _BETWEEN_TAGS).search(text, at)) is not None:
        at, sign = found.end(), found[0]
        if tag is None:
            tag, braces = found if _between_tags(found, opened, closings) else None, 0
        elif sign in ("{", "}"):
            braces = max(0, braces + (1 if sign == "{" else -1))
        elif sign in _QUOTES and not braces:  # nothing ends it; in code it may be a sign of a text
            break
        elif (sign.startswith("<") or (sign == ";" and in_code)) and not braces:  # nothing has ended this one
            tag, at = None, found.start()
        elif sign.endswith(">") and not braces:
            if tag.start() < start:
                closings.append(Closing(found.start(), TAG_END))
            if sign == ">" and (in_code or not _VOID.fullmatch(tag[2])):
                opened.append(tag[2])
            tag = None
    begins = _BEGINS_TAG.search(text) if tag is None else None
    return _Read(tuple(opened), closings, tag.start() if tag else begins.start() if begins else len(text))


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
