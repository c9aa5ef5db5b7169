"""`broken_rules`: what is plainly wrong with a suggestion, judged by the text around it alone.

It is the judge of every server alike, so it knows none of them, shares no code with our own clean-up, and looks at no
model. It would rather miss a fault than find one in good code: whether a suggestion is any use is not asked here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TELLING_CHARS = 10  # a line of so many is no accident when it comes twice
_SMALL_REST_CHARS = 2  # so few behind the cursor may well be wanted twice

_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd\ud800-\udfff]")
_SPECIAL_TOKEN = re.compile(
    r"<[|\uff5c][^<>|\uff5c\n]+[|\uff5c]>"
    r"|<(?:fim_(?:prefix|middle|suffix|pad)|file_sep|repo_?name|gh_stars|endoftext|empty_output|unk|pad|bos|eos"
    r"|issue_(?:start|comment|closed)|jupyter_\w+|commit_(?:before|msg|after))>"
)
_STRING = r"\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?"
_TEMPLATE = r"`(?:\\.|[^`\\])*`?"
_LONG_STRING = r"\"\"\"(?:\\.|[^\\])*?(?:\"\"\"|\Z)|'''(?:\\.|[^\\])*?(?:'''|\Z)"
_LIKE_C = re.compile(rf"//[^\n]*|/\*.*?(?:\*/|\Z)|{_LONG_STRING}|{_STRING}|{_TEMPLATE}", re.DOTALL)
_LIKE_SHELL = re.compile(rf"#[^\n]*|{_LONG_STRING}|{_STRING}|{_TEMPLATE}", re.DOTALL)
_HASH_COMMENTS = frozenset({"python", "ruby", "shellscript", "perl", "r", "yaml", "toml", "makefile", "dockerfile"})
_LIKE_MARKUP = frozenset({"html", "xml", "vue", "svelte", "javascriptreact", "typescriptreact"})
_LONG_COMMENTS = {"*/": "/*", "-->": "<!--"}
_LONG_QUOTES = ('"""', "'''", "`")
_LOOP = re.compile(r"(.{4,200}?)\1{3,}", re.DOTALL)
_WORTHLESS = re.compile(r"[^\w\s]|[(\[{<\"'`=,.&|]+")
_PAIRS = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A suggestion and the text around it; lines are those that are not blank."""

    before: str
    answer: str
    after: str
    language_id: str
    head: str
    rest: str
    above: Sequence[str]
    below: Sequence[str]


def broken_rules(before: str, answer: str, after: str, language_id: str) -> tuple[str, ...]:
    """The names of the rules that a suggestion breaks; none where it is well-behaved.

    Args:
        before: The document before the cursor.
        answer: What is offered for insertion there.
        after: The document behind the cursor.
        language_id: The editor's name of the language.
    """
    *above, head = before.split("\n")
    rest, *below = after.split("\n")
    case = _Case(
        before=before,
        answer=answer,
        after=after,
        language_id=language_id,
        head=head,
        rest=rest.removesuffix("\r"),
        above=_written(above),
        below=_written(below),
    )
    return tuple(name for name, breaks in RULES if breaks(case))


def _half_character(case: _Case) -> bool:
    return bool(_NO_TEXT.search(case.answer))


def _special_token(case: _Case) -> bool:
    """A mark that only models write; where the document has it too, it is the subject."""
    return any(mark not in case.before + case.after for mark in _SPECIAL_TOKEN.findall(case.answer))


def _mixed_line_ends(case: _Case) -> bool:
    """A bare line end is right in every file: editors write the file's own for it."""
    mixes = bool(re.search(r"\r(?!\n)|(?<!\r)\n", case.answer))
    return "\r" in case.answer and (mixes or "\r\n" not in case.before + case.after)


def _trailing_blank(case: _Case) -> bool:
    """Blanks at the suggestion's end are right only before text; at the ends of its inner lines never, but in prose."""
    at_end = case.answer != case.answer.rstrip() and not case.rest.strip()
    inside = case.language_id != "markdown" and re.search(r"\S[ \t]+\r?\n", case.answer)
    return at_end or bool(inside)


def _broken_word(case: _Case) -> bool:
    """Text inside a word, or glued to the word that follows it."""
    if not (case.answer and _is_word(case.rest[:1])):
        return False
    return _is_word(case.head[-1:]) or _is_word(case.answer[-1:])


def _doubled_bracket(case: _Case) -> bool:
    """A bracket is closed that the rest of the line closes."""
    return any(closer in case.rest for closer in _PAIRS) and _grows(case, _unopened)


def _doubled_quote(case: _Case) -> bool:
    """A string is ended that the rest of the line ends."""
    return any(quote in case.rest for quote in "\"'`") and _grows(case, _unended)


def _doubled_end(case: _Case) -> bool:
    """A comment or a string over several lines is ended that the next line ends: it begins with what ends it.

    A line that begins and ends with it is a string of its own.
    """
    if case.rest.strip() or not case.below:
        return False
    below = case.below[0].lstrip()
    comments = (
        closer in case.answer
        and below.startswith(closer)
        and case.before.rfind(opener) > case.before.rfind(closer)
        and opener not in case.answer
        for closer, opener in _LONG_COMMENTS.items()
    )
    strings = (
        below.startswith(quote) and all(text.count(quote) % 2 == 1 for text in (case.before, case.answer, below))
        for quote in _LONG_QUOTES
    )
    return any(comments) or any(strings)


def _doubled_tag(case: _Case) -> bool:
    """An element, a tag or type parameters are closed that the rest of the line closes."""
    if case.language_id in _LIKE_MARKUP and "</" in case.rest and _grows_on_line(case, _unopened_elements):
        return True
    is_inside = re.search(r"<[\w$]*(?:\s[^<>]*|[\w\s,.:]*)\Z", case.head) and re.match(r"[^<>]*>", case.rest)
    if not is_inside or re.search(r"\s<\s", case.head):
        return False
    answer = re.sub(rf"{_STRING}|\{{[^{{}}]*\}}|[-=]>|\s>=?\s", "", case.answer)
    n_open = 0
    for sign in re.findall(r"[<>]", answer):
        n_open += 1 if sign == "<" else -1
        if n_open < 0:
            return True
    return False


def _loop(case: _Case) -> bool:
    """It says the same four times in a row, and the document does not."""
    return any(
        any(map(str.isalpha, found.group(1))) and found.group(1) * 2 not in case.before + case.after
        for found in _LOOP.finditer(case.answer)
    )


def _lone_sign(case: _Case) -> bool:
    """One sign, or openers and nothing that they open: one key, which the person has as well.

    Three quotes that end a string are three keys.
    """
    answer = case.answer.strip()
    ends = any(answer.endswith(quote) and case.before.count(quote) % 2 == 1 for quote in _LONG_QUOTES if len(quote) > 1)
    return bool(_WORTHLESS.fullmatch(answer)) and not ends


def _wrong_indentation(case: _Case) -> bool:
    """Tabs in a file that is indented by spaces, or spaces in one by tabs; a comment's aligned star is none."""
    used = {line[0] for line in (*case.above, *case.below) if line[0] in " \t" and not line.startswith(" *")}
    first, *others = case.answer.split("\n")
    lines = _written([case.head + first if not case.head.strip() else "", *others])
    indents = [re.match(r"[ \t]*", line).group() for line in lines if not line.startswith(" *")]  # type: ignore[union-attr]  # it always matches
    if used == {" "}:
        return any("\t" in indent for indent in indents)
    return used == {"\t"} and any(indent.startswith(" ") for indent in indents)


def _repeats_below(case: _Case) -> bool:
    """It ends with what the rest of the line says, or with the next lines."""
    rest = case.rest.strip()
    if rest:
        return len(rest) > _SMALL_REST_CHARS and any(map(_is_word, rest)) and case.answer.rstrip().endswith(rest)
    lines = _completed(case)
    ends = (lines[-n_lines:] for n_lines in range(1, len(lines) + 1))
    return any(_tells(end, case) and end == list(case.below[: len(end)]) for end in ends)


def _repeats_above(case: _Case) -> bool:
    """All of it are the last lines once more."""
    lines = _completed(case)
    return not case.rest.strip() and _tells(lines, case) and lines == list(case.above[-len(lines) :])


RULES: tuple[tuple[str, Callable[[_Case], bool]], ...] = (
    ("half a character", _half_character),
    ("special token", _special_token),
    ("mixed line ends", _mixed_line_ends),
    ("trailing blank", _trailing_blank),
    ("broken word", _broken_word),
    ("doubled bracket", _doubled_bracket),
    ("doubled quote", _doubled_quote),
    ("doubled end of a comment or string", _doubled_end),
    ("doubled tag", _doubled_tag),
    ("loop", _loop),
    ("lone sign", _lone_sign),
    ("wrong indentation", _wrong_indentation),
    ("repeats what follows", _repeats_below),
    ("repeats the lines above", _repeats_above),
)


def _written(lines: Sequence[str]) -> list[str]:
    return [line.rstrip() for line in lines if line.strip()]


def _completed(case: _Case) -> list[str]:
    """The lines that stand there once the suggestion is taken, from the cursor's on."""
    return _written((case.head + case.answer).split("\n"))


def _tells(lines: Sequence[str], case: _Case) -> bool:
    """Whether to say this again is a fault: several lines, or a long one that the suggestion brings itself."""
    says = any(_is_word(char) for line in lines for char in line)
    return says and (len(lines) > 1 or len(case.answer.strip()) >= _TELLING_CHARS <= len("".join(lines).strip()))


def _grows(case: _Case, faults: Callable[[str, str], int]) -> bool:
    text = case.before + case.answer + case.rest
    return faults(text, case.language_id) > faults(case.before + case.rest, case.language_id)


def _grows_on_line(case: _Case, faults: Callable[[str], int]) -> bool:
    return faults(case.head + case.answer + case.rest) > faults(case.head + case.rest)


def _unopened_elements(text: str) -> int:
    """Closing tags without the tags that open their elements."""
    n_unopened, opened = 0, []
    for is_end, name in re.findall(r"<(/?)([A-Za-z][\w.:-]*)", text):
        if not is_end:
            opened.append(name)
        elif name in opened:
            opened.remove(name)
        else:
            n_unopened += 1
    return n_unopened


def _unopened(text: str, language_id: str) -> int:
    """Closing brackets of the code without their opening ones."""
    n_unopened, opened = 0, []
    for char in _quoted(language_id).sub("", text):
        if char in _PAIRS.values():
            opened.append(char)
        elif char in _PAIRS and opened[-1:] == [_PAIRS[char]]:
            opened.pop()
        elif char in _PAIRS:
            n_unopened += 1
    return n_unopened


def _unended(text: str, language_id: str) -> int:
    """Strings that are open at the end of their line."""
    pieces = (found.group() for found in _quoted(language_id).finditer(text))
    return sum(piece[0] in "\"'`" and (len(piece) == 1 or piece[-1] != piece[0]) for piece in pieces)


def _quoted(language_id: str) -> re.Pattern[str]:
    """Comments and strings of a language, those that are not ended included."""
    return _LIKE_SHELL if language_id in _HASH_COMMENTS else _LIKE_C


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"
