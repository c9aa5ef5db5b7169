"""Text taken out of this repository's own sources and decoded again: what is offered is what was taken out."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.completion.brackets import CLOSING, residue
from engine.completion.cleanup import is_complete, suggestion
from engine.completion.languages import language_of
from engine.completion.prompt import build_prompt
from engine.completion.shape import shape_at
from engine.completion.worth import without_opened_string

ROOT = Path(__file__).parents[3]
FILES = [
    *sorted((ROOT / "engine").rglob("*.py")),
    *sorted((ROOT / "vscode-extension" / "src").rglob("*.ts")),
]
PLACES_A_FILE = 12
EMPTY_PAIRS = {"()", "[]", "{}", '""', "''", "``"}  # an editor closes what is opened
TOKEN_CHARS = 3  # text comes in pieces of about this length


def offered(path: Path, before: str, after: str, decoded: str) -> str:
    """What is offered where a model says `decoded`, piece by piece, until the suggestion is complete."""
    prompt = build_prompt(before, after)
    shape = shape_at(before, after, prompt, single_line=None, language_id=language_of(path))
    text = prompt.typed + decoded
    ends = (end for end in range(TOKEN_CHARS, len(text), TOKEN_CHARS) if is_complete(text[:end], shape))
    text = text[: next(ends, len(text))]
    return text[suggestion(text, shape)]


def bracketed(path: Path) -> Iterator[tuple[str, str, str]]:
    """Text before a bracket's content, the content, and the text from its closing bracket on."""
    rng, lines = random.Random(path.name), path.read_text(encoding="utf-8").split("\n")
    places = [
        (index, column, end)
        for index, line in enumerate(lines)
        for column, char in enumerate(line)
        if char in CLOSING and not residue(line[:column]).in_string and not residue(line).openers
        for end in [
            next(at for at in range(column, len(line)) if CLOSING[char] in residue(line[column + 1 : at + 1]).closers)
        ]
    ]
    for index, column, end in rng.sample(places, min(PLACES_A_FILE, len(places))):
        line = lines[index]
        before, after = [*lines[:index], line[: column + 1]], [line[end:], *lines[index + 1 :]]
        yield "\n".join(before), line[column + 1 : end], "\n".join(after)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_stands_in_brackets_is_offered_without_the_rest_of_its_line(path: Path) -> None:
    for before, content, after in bracketed(path):
        expected = "" if content.strip() in EMPTY_PAIRS else content.rstrip()
        assert offered(path, before, after, content + after[:200]) == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_are_offered_without_those_that_follow(path: Path) -> None:
    rng, lines = random.Random(path.name), path.read_text(encoding="utf-8").split("\n")
    telling = [at for at, line in enumerate(lines) if re.search(r"\w", line) and lines.count(line) == 1]
    for first in rng.sample(telling, min(PLACES_A_FILE, len(telling))):
        last = first + rng.randint(1, 3)
        indent = len(lines[first]) - len(lines[first].lstrip())
        before = "\n".join([*lines[:first], lines[first][:indent]])
        taken, after = "\n".join(lines[first:last])[indent:], "\n".join(["", *lines[last:]])

        suggested = offered(path, before, after, taken + after[:200])
        assert taken.startswith(suggested)
        first_line = taken.split("\n")[0]  # a string that is opened at its end is left to the person
        assert suggested.split("\n")[0] in {first_line, without_opened_string(first_line, "", "")}
