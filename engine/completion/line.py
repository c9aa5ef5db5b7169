"""What of new text fits between what stands before and behind the cursor on its line.

Brackets, quotes and type parameters that the rest of the line closes are not closed a second time, a statement that
goes on there is not ended, and text that the rest begins with is not repeated. A line is read once, and only a bounded
part of it again for each token. Strings only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.completion.brackets import CLOSERS, CLOSING, QUOTES, Residue, Scan
from engine.completion.languages import COMMENT_BEGIN
from engine.completion.words import escapes_next, is_word, joins

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.completion.brackets import Apostrophes

HEAD_CHARS = 4_096  # of a line before the cursor, that its brackets are counted in
REST_CHARS = 256  # of it behind the cursor, that are read for each bracket of new text

_CONTEXT_CHARS = 3  # that tell what an apostrophe or an angle bracket is
_WORD_CHARS = 200  # that a word has at most
_WORD_END = re.compile(r"\w+\Z")
# Such as `log-`, an option's `--`, `3.`, `Log\`, `$(`.
_HALF_WORD = re.compile(r"[\w-]*\w-\Z|(?<=\s)--?\Z|(?<!\w)\d+\.\Z|[\w\\]*\\\Z|\$[{(]?\Z")
_OPEN_ACCESS = re.compile(r"(?<=[\w)\]}\"'])(?:[?!]?\.|::|->)\Z")  # to a part that is not said
_PIECES = frozenset(CLOSING) | CLOSERS | QUOTES | {">"}
_WITHOUT_VALUE = re.compile(r"(?:^|\s)[\w:.-]+=\Z")  # such as an attribute whose string was not begun
_ENDS = frozenset(">/)]},;")
_LOOP = re.compile(r"\bfor\s*\(")  # whose parts semicolons tell apart
_NAMED_CHARACTER = re.compile(r"&#?\w+\Z")  # `&nbsp;` ends no statement
_QUESTION = re.compile(r"\s\?\s")
_ANSWER = re.compile(r"(?<![:?]):(?![:=])")
_RELATION = r"(?:[=!]==?|[<>]=?|[-+*/:|&]?=)"  # of which a statement or a condition has one
_GOES_ON_WITH_RELATION = re.compile(rf"\s*{_RELATION}\s+\S")
_BEGINS_RELATION = re.compile(rf"(?<![^\s\w)\]]){_RELATION}(?=\s|\Z)")
_FIRST_WORD = re.compile(r"\s*(\w{2,})")
_ELEMENT = re.compile(r"</?\w[^<>]*>|</?>")  # or type parameters: it ends what it begins
_LIST_TYPE = re.compile(
    r"(?:\A|[^\w)\]])(?:map)?\[[\w.*]*\]\Z|#!?\[[^\]]*\]\Z"
)  # before its parts' type, as in Go, or an attribute
_BEHIND_CALL = " :;{"
_CALLED = re.compile(r"(?!\b(?:if|elif|elseif|for|foreach|while|switch|match|catch|with)\b)\b\w+\Z")
_CLOSES = (")", "]", "}", ">")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The cursor's line.

    Attributes:
        head: What stands before the cursor.
        rest: What stands behind it, as far as it is read.
        before: The brackets of `head`, counted.
        residue: What is unmatched in the line as it stands, or would be with the code in a string ended that the rest
            of the line leaves open.
        on_the_way: What is unmatched in it while brackets of such code are open.
        closes: Whether the rest closes brackets or strings.
        is_code: Whether the cursor stands in code.
        is_prose: Whether it stands in a text for people, such as between tags.
    """

    head: str
    rest: str
    before: Scan
    residue: Residue
    on_the_way: tuple[Residue, ...]
    closes: bool
    is_code: bool
    is_prose: bool

    @property
    def goes_on(self) -> bool:
        """Whether more than blanks stands behind the cursor."""
        return bool(self.rest.strip())

    @property
    def is_code_open(self) -> bool:
        """Whether the rest of the line ends a string in which code is open: `f"{a` before the editor's quote."""
        return bool(self.on_the_way)

    def takes(self, residue: Residue) -> bool:
        """Whether the line may be left so."""
        return residue.is_no_worse_than(self.residue) or residue in self.on_the_way

    def residue_with(self, body: str) -> Residue:
        """What is unmatched in the line with new text at the cursor."""
        return self.residue_behind(self.scan_to(body), body)

    def scan_to(self, body: str) -> Scan:
        """The scan of what stands before the end of new text at the cursor."""
        context = self.head[-_CONTEXT_CHARS:]
        return self.before.over(context + body + self.rest, len(context), len(context) + len(body))

    def residue_behind(self, scan: Scan, body: str) -> Residue:
        """What is unmatched where the rest follows a scan that has read new text."""
        context = (self.head + body)[-_CONTEXT_CHARS:]
        return scan.over(context + self.rest, len(context)).residue


def line_at(
    head: str, rest: str, *, is_code: bool, is_prose: bool, with_angles: bool, apostrophes: Apostrophes
) -> Line:
    """The line of a cursor.

    Args:
        head: The line before it.
        rest: The line behind it.
        is_code: Whether the cursor stands in code, not in a comment.
        is_prose: Whether it stands in a text for people.
        with_angles: Whether the language has type parameters in angle brackets.
        apostrophes: What they are there.
    """
    seen, rest = head[-HEAD_CHARS:], rest[:REST_CHARS]
    closes_angles = with_angles and is_code and ">" in _ELEMENT.sub("", rest)
    start = Scan(with_angles=closes_angles, apostrophes=apostrophes)
    before = start.over(seen + rest, 0, len(seen))
    stands = before.over(seen + rest, len(seen)).residue
    ways = [[scan.over(seen + rest, len(seen)).residue for scan in scans] for scans in before.ended_in_strings()]
    ended, *on_the_way = min((way for way in ways if not way[0].in_string), key=_n_unmatched, default=[stands])
    is_code_open = ended.n_unmatched < stands.n_unmatched
    return Line(
        head=seen,
        rest=rest,
        before=before,
        residue=ended if is_code_open else stands,
        on_the_way=tuple(on_the_way) if is_code_open else (),
        closes=closes_angles or any(char in CLOSERS or char in QUOTES for char in rest),
        is_code=is_code,
        is_prose=is_prose,
    )


def _n_unmatched(way: list[Residue]) -> int:
    return way[0].n_unmatched


def leaving_length(body: str, line: Line) -> int | None:
    """Where the new text leaves a bracket or a string that the rest of the line closes; None where it does not.

    Whatever follows there belongs behind the rest.
    """
    if not line.closes:
        return None
    for at, char in enumerate(body):
        if char not in _PIECES or char in CLOSING:
            continue
        scan = line.scan_to(body[:at])
        if char in QUOTES and scan.stack[-1:] != (char,):
            continue
        if not line.takes(line.residue_with(body[: at + 1])) and line.takes(line.residue_behind(scan, body[:at])):
            return at
    return None


def ending_length(body: str, line: Line) -> int | None:
    """Where the new text ends a statement that the rest of the line goes on with; None where it does not."""
    if not line.goes_on or not line.is_code or line.rest.lstrip()[:1] == "}" or not line.head.strip():
        return None
    if "{" in line.before.stack or COMMENT_BEGIN.match(line.rest):
        return None
    asks = line.rest.lstrip().startswith(":") and _QUESTION.search(line.head)
    relates = "<" not in line.before.stack and _GOES_ON_WITH_RELATION.match(line.rest)
    in_loop = "(" in line.before.stack[-1:] and _LOOP.search(line.head) is not None
    for at, char in enumerate(body):
        ends = char == ";" and not in_loop and not _NAMED_CHARACTER.search(body[:at])
        answers = asks and char == ":" and _ANSWER.match(body, at) and not _QUESTION.search(body[:at])
        relates_again = relates and _BEGINS_RELATION.match(body, at)
        if (ends or answers or relates_again) and line.scan_to(body[:at]).stack == line.before.stack:
            return at
    return None


def fitting_length(body: str, line: Line) -> int:
    """How much of a line's new text fits between what stands before and behind the cursor on that line.

    A word is not glued to the next one, nothing is put inside a word, and what the rest begins with is not said before
    it.
    """
    if joins(line.head, line.rest) or _begins_alike(body, line.rest):
        return 0  # inside a word: whatever is put there spoils it
    length = _balanced_length(body, line) if line.goes_on else len(body)
    kept = body[:length].rstrip()
    called = (line.head + kept).rstrip(_BEHIND_CALL) if line.is_code and line.rest.startswith("(") else ""
    if (start := _call_start(called)) is not None:
        kept = kept[: max(0, start - len(line.head))]  # the arguments are there already
    if line.rest.lstrip()[:1] in _ENDS:
        kept = _WITHOUT_VALUE.sub("", kept).rstrip()
    if runs_into_rest(kept, line):
        if body[len(kept) : len(kept) + 1].isspace():
            return len(kept) + 1  # the blank tells the words apart
        kept = _WORD_END.sub("", kept).rstrip()
        if runs_into_rest(kept, line):
            return 0
    if (line.rest[:1] in QUOTES or len(kept) < length) and escapes_next(kept):
        kept = kept[:-1].rstrip()  # it would take the quote's meaning away
    return len(kept)


def runs_into_rest(text: str, line: Line) -> bool:
    """Whether a word that the rest of the line begins with would follow a word, or a value of code, without a blank."""
    is_value = line.is_code and not line.is_prose and is_word(line.rest[:1]) and _ends_value(line.head + text)
    return is_value or joins(text, line.rest)


def without_open_comma(text: str, line: Line) -> str:
    """A text without a comma at its end that the rest of the line leaves nothing behind."""
    return text.rstrip(", ") if line.rest.lstrip().startswith(_CLOSES) else text


def _begins_alike(body: str, rest: str) -> bool:
    first, next_one = _FIRST_WORD.match(body), _FIRST_WORD.match(rest)
    return first is not None and next_one is not None and first.group(1) == next_one.group(1)


def whole_words_length(text: str, head: str, document: str) -> int:
    """How much of a text is left without a last word that may be half of one, as where a limit cut it.

    A word that stands in the document is whole. One that does not may be the beginning of a longer one.

    Args:
        text: What was decoded, as far as it is worth showing.
        head: The cursor's line before the cursor, which may begin the word.
        document: Text to know words from, without the word under the cursor.
    """
    head = head[-_WORD_CHARS:]
    line = head + text
    found = _WORD_END.search(line)
    if found is not None and not re.search(rf"(?<!\w){found.group()}(?!\w)", document):
        line = line[: found.start()]
    half = _HALF_WORD.search(line)  # without its last word, too: `3.1` and `log-in` are one word each
    line = line if half is None else line[: half.start()]
    if len(line) == len(head) + len(text):
        return len(text)
    return len(text[: max(0, len(line) - len(head))].rstrip())


def without_open_access(text: str, line: Line) -> str:
    """A text of code without a dot or the like at its end, behind which nothing is said."""
    return _OPEN_ACCESS.sub("", text) if line.is_code and not line.is_prose else text


def word_before(head: str) -> str:
    """The word that a line ends with; "" where it ends with none."""
    found = _WORD_END.search(head[-_WORD_CHARS:])
    return found.group() if found else ""


def _balanced_length(body: str, line: Line) -> int:
    body = body[: leaving_length(body, line)].rstrip()
    pieces = (at for at in range(len(body) - 1, -1, -1) if body[at] in _PIECES)
    lengths = (*_overlaps(body, line.rest.strip()), len(body), *pieces)
    return next((at for at in lengths if _fits(body[:at], line)), 0)


def _fits(body: str, line: Line) -> bool:
    scan = line.scan_to(body)
    after = line.residue_behind(scan, body)
    if scan.stack.count("<") > line.before.stack.count("<") or _puts_text_into_a_string(body, scan, line):
        return False
    if after in line.on_the_way:
        return True
    if line.closes and not line.takes(after):
        return False
    opens_more = line.is_code and len(after.openers) > len(line.residue.openers)
    return not opens_more or COMMENT_BEGIN.match(line.rest) is not None


def _puts_text_into_a_string(body: str, scan: Scan, line: Line) -> bool:
    """Whether what stands behind the cursor would be in a string now, or out of one, however its own quotes count.

    Args:
        body: New text.
        scan: Of what stands before its end.
        line: Its line.
    """
    last = scan.stack[-1] if scan.stack else ""
    if last not in QUOTES:
        return body[-1:] in QUOTES and is_word(line.rest[:1])
    return line.is_code and len(scan.strings) > len(line.before.strings) and line.rest[:1] != last


def _ends_value(text: str) -> bool:
    """Whether a text of code ends with a list or a call, that no word follows; a condition, a cast or a type may be."""
    if text.endswith("]"):
        return _LIST_TYPE.search(text) is None
    return _call_start(text) is not None


def _call_start(text: str) -> int | None:
    """Where the arguments begin that a text of code ends with; None where it ends otherwise."""
    depth = 0
    for at in range(len(text) - 1, -1, -1) if text.endswith(")") else ():
        depth += {")": 1, "(": -1}.get(text[at], 0)
        if not depth:
            return at if _CALLED.search(text, 0, at) else None
    return None


def _overlaps(body: str, rest: str) -> Iterator[int]:
    """Lengths of the body without an end that the rest begins with, the longest such end first."""
    for n_chars in range(min(len(body), len(rest)), 0, -1):
        start = len(body) - n_chars
        if not body.endswith(rest[:n_chars]) or escapes_next(body[:start]):
            continue
        whole = n_chars == len(rest) or not joins(rest[:n_chars], rest[n_chars:])
        if whole and not joins(body[:start], body[start:]):
            yield start
