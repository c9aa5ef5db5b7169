"""`AcceptanceModel`: how likely a suggestion at a place is kept, by the text before it and what a project says of it.

A logistic regression over a few signs that cost microseconds to read, in the spirit of Copilot's contextual filter
(Thakkar, "Copilot Internals", 2022), so that the model need not be asked where hardly anybody would take its answer.
It knows no language model, no person and no time; `engine.training.acceptance_fit` fits it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping  # noqa: TC003 - cattrs reads the annotations at run time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from engine.completion.languages import COMMENT_SIGNS
from engine.completion.words import is_word
from engine.fitted import FittedRecord
from engine.outlook import Outlook

_SEEN_CHARS = 4000  # before the cursor, that the signs are read from
_MATCH_LENGTHS = (2, 4, 6, 8, 12, 16, 24, 32)
_LONG_LINE = 80
_DEEP_INDENT = 24
_WORD_LENGTHS = {
    "first letter": range(1, 2),
    "second letter": range(2, 3),
    "in a word": range(3, 6),
    "in a long word": range(6, _SEEN_CHARS),
}
_OPENERS = ("(", "[", "{")
_BLOCK_BEGINS = (":", "{", "(")


class PlaceKind(str, Enum):
    """What kind of place a cursor stands at; people pause longer at some than at others."""

    LINE_START = "line start"
    WORD_START = "word start"  # behind a blank or an opening bracket
    IN_WORD = "in a word"
    OTHER = "other"


def place_kind(prefix: str) -> PlaceKind:
    """The kind of place behind a text."""
    if not prefix[prefix.rfind("\n") + 1 :].strip():
        return PlaceKind.LINE_START
    last = prefix[-1]
    if is_word(last):
        return PlaceKind.IN_WORD
    return PlaceKind.WORD_START if last in (" ", "\t", ".", *_OPENERS) else PlaceKind.OTHER


def place_features(prefix: str, outlook: Outlook | None = None) -> dict[str, float]:
    """The signs by name, each of the order of 1.

    `match` is how much of the text before the cursor has stood in the file before: what repeats is easily continued.

    Args:
        prefix: The text before the cursor.
        outlook: What the project would say; None leaves its signs out.
    """
    text = prefix[-_SEEN_CHARS:]
    *above, line = text.split("\n")
    stripped, last = line.strip(), text[-1:]
    at_line_start = not stripped
    word = _word_length(line)
    line_above = next((other.rstrip() for other in reversed(above) if other.strip()), "")
    match = math.log2(1 + _matched(text)) / 5
    return {
        "line start": at_line_start,
        "after a blank line": at_line_start and bool(above) and not above[-1].strip(),
        "in a block's first line": at_line_start and line_above.endswith(_BLOCK_BEGINS),
        "after a blank": not at_line_start and last in " \t",
        "after a dot": last == ".",
        "after an opener": last in _OPENERS,
        "after a closer": last in (")", "]", "}"),
        "after a separator": last in (",", ";", ":", "="),
        "after a quote": last in ('"', "'"),
        **{name: word in lengths for name, lengths in _WORD_LENGTHS.items()},
        "in a comment": stripped.startswith(COMMENT_SIGNS),
        "line length": min(len(stripped), _LONG_LINE) / _LONG_LINE,
        "indentation": min(len(line) - len(line.lstrip()), _DEEP_INDENT) / _DEEP_INDENT,
        "match": match,
        "match in a word": match if word else 0.0,
        "match at a line start": match if at_line_start else 0.0,
        **(_outlook_signs(outlook) if outlook is not None else {}),
    }


def _outlook_signs(outlook: Outlook) -> dict[str, float]:
    """Where the project would end the line, the model mostly does too, and offers nothing."""
    begins = outlook.text.lstrip(" \t")[:1]
    goes_on = begins not in ("", "\n")
    return {
        "project's chance": outlook.chance,
        "project ends the line": begins == "\n",
        "project has a word": goes_on and is_word(begins),
        "project has a sign": goes_on and not is_word(begins),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceModel:
    """The fitted coefficients, and where they come from.

    Attributes:
        intercept: Log-odds without any sign.
        coefficients: Log-odds by sign.
        no_outlook: Log-odds in place of the project's signs where there is no project.
        mean: Share of suggestions kept where it was fitted, for who asks about no place in particular.
        model: The model that made the suggestions.
        n_places: How many it was fitted on.
        corpus_sha256: Hash of the text they stood in.
        created: Date, ISO 8601.
    """

    intercept: float
    coefficients: Mapping[str, float]
    mean: float
    model: str
    n_places: int
    corpus_sha256: str
    created: str
    no_outlook: float = 0.0

    def chance(self, prefix: str, outlook: Outlook | None = None) -> float:
        """The chance that a suggestion behind a text is kept, 0 to 1; see `place_features`."""
        signs = place_features(prefix, outlook)
        odds = self.intercept if outlook is not None else self.intercept + self.no_outlook
        odds += sum(self.coefficients.get(name, 0.0) * value for name, value in signs.items())
        return 1 / (1 + math.exp(-odds))


OUTLOOK_SIGNS = tuple(_outlook_signs(Outlook()))
"""The names of the signs that a project gives."""

ACCEPTANCE = FittedRecord(
    kind=AcceptanceModel,
    packaged=Path(__file__).with_name("acceptance.json"),
    own_name="acceptance.json",
    subject="What is known of kept suggestions",
    command="green-code train acceptance",
)
"""The model that was fitted on this machine, else the shipped one, which knows the default model."""


def _matched(text: str) -> int:
    """About how many of the last characters have stood in the text before."""
    matched = 0
    for length in _MATCH_LENGTHS:
        if len(text) <= length or text.find(text[-length:], 0, len(text) - 1) < 0:
            break
        matched = length
    return matched


def _word_length(line: str) -> int:
    length = 0
    while length < len(line) and is_word(line[-1 - length]):
        length += 1
    return length
