"""What llama.vscode 0.0.63 asks about a place, remembers of the answers, and shows of them. It neither sends nor waits.

Read off its sources and told in our own words, quirks included, so that a peer is neither helped nor hindered: a blank
line is asked about without its indentation, an answer is looked for back to the beginning of the line, one that repeats
the lines below is dropped, what follows its first line is dropped where text stands right of the cursor.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPlace:
    """A cursor as the client sees it.

    Attributes:
        above: The whole lines above, with their line ends; no more than it sends.
        prompt: The cursor's line before the cursor; "" if that is blank.
        behind: The rest of the line and the lines below; no more than it sends.
        indentation: The line before the cursor if it is blank; places are the same without it.
    """

    above: str
    prompt: str
    behind: str
    indentation: str = field(default="", compare=False)


def client_place_at(before: str, behind: str, *, lines_above: int, lines_below: int) -> ClientPlace:
    """The place between two parts of a document.

    Args:
        before: The document before the cursor.
        behind: The document behind it.
        lines_above: The most whole lines that are sent from above.
        lines_below: The most lines that are sent from below.
    """
    *above, head = before.split("\n")
    below = behind.split("\n")[: 1 + lines_below]
    is_blank = not head.strip(" \t")
    return ClientPlace(
        above=_joined(above[-lines_above:]),
        prompt="" if is_blank else head,
        behind="\n".join([*below, ""]),
        indentation=head if is_blank else "",
    )


def indentation(before: str, behind: str) -> int:
    """Blank characters that the cursor's line begins with."""
    line = before.rpartition("\n")[2] + behind.partition("\n")[0]
    return len(line) - len(line.lstrip())


def place_after(place: ClientPlace, text: str, *, lines_above: int) -> ClientPlace:
    """Where the cursor will stand once a suggestion is taken."""
    *lines, prompt = (place.prompt + text).split("\n")
    above = (place.above + _joined(lines)).split("\n")[:-1]
    return replace(place, above=_joined(above[-lines_above:]) if lines else place.above, prompt=prompt, indentation="")


def place_below(place: ClientPlace, first_line: str) -> ClientPlace:
    """Where the cursor will stand once the first line of a suggestion is taken, and Enter."""
    return replace(place, above=f"{place.above}{place.prompt}{first_line}\n", prompt="")


def shown(text: str, before: str, behind: str) -> str:
    """What an answer's text suggests at a place, still with the indentation of its first line; "" if nothing."""
    lines = without_blank_end(text).split("\n")
    rest, *below = behind.split("\n")
    if not "".join(lines) or (below and _repeats(lines, before.rpartition("\n")[2], rest, below)):
        return ""
    return lines[0].removesuffix(rest) if rest.strip() else "\n".join(lines)


def inserted(suggestion: str, before: str) -> str:
    """A suggestion without the indentation that the cursor's line has already."""
    head = before.rpartition("\n")[2]
    to_remove, at = (len(head) if not head.strip(" \t") else 0), 0
    while at < len(suggestion) and ((at < to_remove and suggestion[at] == " ") or suggestion[at] == "\t"):
        at += 1
    return suggestion[at:]


def without_blank_end(text: str) -> str:
    """A text without the blank lines at its end; the blanks behind its last words stay."""
    lines = text.replace("\r\n", "\n").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return "\n".join(lines)


class Memory:
    """The answers of the last places, several to a place; the oldest are forgotten first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._known: OrderedDict[ClientPlace, Sequence[str]] = OrderedDict()

    def __contains__(self, place: ClientPlace) -> bool:
        return place in self._known

    def remember(self, place: ClientPlace, texts: Sequence[str]) -> None:
        """Keeps the answers at a place."""
        self._known[place] = texts
        self._known.move_to_end(place)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def find(self, place: ClientPlace) -> Sequence[str] | None:
        """What is left of answers known here or further left on the line, if they agree with what was typed since."""
        for at in range(len(place.prompt), -1, -1):
            earlier, typed = replace(place, prompt=place.prompt[:at]), place.prompt[at:]
            texts = self._known.get(earlier)
            if texts is None:
                continue
            self._known.move_to_end(earlier)
            left = [text[len(typed) :] for text in texts if text.startswith(typed)]
            if left or not typed:
                return left
        return None


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _repeats(lines: Sequence[str], head: str, rest: str, below: Sequence[str]) -> bool:
    """Whether a suggestion says what stands behind the cursor or in the next lines that are not blank."""
    first, *others = lines
    if others and first.strip() in {"", rest.strip()} and _same(others, below):
        return True
    if [first, *others] == [rest]:
        return True
    at = next((at for at, line in enumerate(below) if line.strip()), None)
    if at is None or head + first != below[at]:
        return False
    if len(others) == 1:
        return all(line.startswith(others[0]) for line in below[at + 1 : at + 2])
    return _same(others, below[at + 1 :])


def _same(lines: Sequence[str], below: Sequence[str]) -> bool:
    return all(line == other for line, other in zip(lines, below, strict=False))
