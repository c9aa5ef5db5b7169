"""`strokes`: when a person strikes which key to write a text, by a seed; the same for every server that is compared.

It knows no editor and no suggestions. The figures are round ones near what studies of typing find (Dhakal et al.,
"Observations on Typing from 136 Million Keystrokes", CHI 2018): they make a plausible person, not a certain one.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from engine.completion.words import is_word

READING_S = 0.35  # a suggestion must have been in sight so long to be noticed
TYPO_S = 0.3  # until a wrong key is noticed
MENDING_S = 0.2  # for each key that deletes what the editor has put there
_KEY_S, _KEY_SPREAD = 0.19, 0.35  # median of the pauses between keys, and the deviation of their logarithm
_MID_LINE_S, _MID_LINE_SHARE = 0.8, 0.1  # before a word: what comes now?
_LINE_S = 0.9
_BLOCK_S = 2.0
_THINKING_SPREAD = 0.5
_SHORTEST_S, _LONGEST_S = 0.06, 6.0
_TYPO_SHARE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """One character of the text.

    Attributes:
        pause_s: From the key before it.
        typo: A wrong character struck first and taken back; "" mostly.
    """

    pause_s: float
    typo: str


def strokes(text: str, seed: int) -> list[Stroke]:
    """How a person types a text, a stroke for each character; `seed` makes the person."""
    rng = random.Random(f"{seed} {len(text)} {text[:40]}")  # noqa: S311 - nothing secret
    return [_stroke(text, at, rng) for at in range(len(text))]


def _stroke(text: str, at: int, rng: random.Random) -> Stroke:
    before, char = text[at - 1 : at], text[at]
    key_s = _drawn(rng, _KEY_S, _KEY_SPREAD)
    thinking_s = _drawn(rng, _thinking_s(text, at), _THINKING_SPREAD)
    stops = rng.random() < _MID_LINE_SHARE
    wrong = rng.choice("aeionrst")
    errs = rng.random() < _TYPO_SHARE
    begins_word = is_word(char) and not is_word(before)
    thinks = _begins_line(text, at) or (begins_word and stops)
    return Stroke(
        pause_s=thinking_s if thinks else key_s, typo=wrong if errs and char.isalpha() and wrong != char else ""
    )


def _begins_line(text: str, at: int) -> bool:
    """True at the first key of a line: its indentation came with Enter."""
    return text[:at].rstrip(" \t").endswith("\n")


def _thinking_s(text: str, at: int) -> float:
    if not _begins_line(text, at):
        return _MID_LINE_S
    line_before = text[:at].split("\n")[-2]
    return _BLOCK_S if not line_before.strip() or text[at] == "\n" else _LINE_S


def _drawn(rng: random.Random, median_s: float, spread: float) -> float:
    return min(_LONGEST_S, max(_SHORTEST_S, median_s * math.exp(rng.gauss(0.0, spread))))


def typed_with(text: str, at: int) -> int:
    """How many characters the key for one character brings: Enter brings the indentation of the next line along."""
    if text[at] != "\n":
        return 1
    line = text[at + 1 :].partition("\n")[0]
    return 1 + len(line) - len(line.lstrip(" \t"))
