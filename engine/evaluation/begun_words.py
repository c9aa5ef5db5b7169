"""What is offered inside words: words of files that no training has seen, each after its first letters.

People mostly stop inside words, and nearly all that is worth saying there is the rest of the word. Every word goes
through the product's own facade, in the order of a file, as it would be typed. It knows no server: whether a place is
asked at is the caller's to say.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from engine.completion.words import is_word
from engine.errors import TrainingError
from engine.intervals import draws_of_groups, estimate
from engine.types import CompletionRequest, no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engine.corpus.source_text import SourceFile
    from engine.intervals import Estimate
    from engine.types import Completion, ProgressSink

MIN_WORD_CHARS = 6
LETTERS = (0, 1, 2, 3, 4)

_WORD = re.compile(rf"(?<!\w)[^\W\d]\w{{{MIN_WORD_CHARS - 1},}}")
_SIGNS = re.compile(r"(?<![^\w\s])[^\w\s]{2,4}(?![^\w\s])")  # such as `==`, `->`, `("` and `):`
_WORDS_A_FILE = 4  # near each other, so that the prompt is read once
_MIN_PREFIX_CHARS = 300
_ROUNDS = 20  # times that the files are gone through before there are said to be too few words


class WordOffer(str, Enum):
    """What became of a question inside a word."""

    RIGHT = "right"  # the rest of the word, which ends there
    WRONG = "wrong"  # anything else that is shown
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word in a file.

    Attributes:
        file: Package and path, for people.
        language: The file's.
        before: The file up to the word.
        word: The word.
    """

    file: str
    language: str
    before: str
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedWord:
    """One word after so many of its letters.

    Attributes:
        file: See `Word.file`; intervals draw files, and words within them.
        green_mode: The slider's position.
        letters: How many of the word's letters stood before the cursor.
        offer: What became of it.
    """

    file: str
    green_mode: int
    letters: int
    offer: WordOffer


@dataclass(frozen=True, slots=True, kw_only=True)
class WordShares:
    """The shares of all words at one position of the slider, after so many letters."""

    green_mode: int
    letters: int
    n_words: int
    right: Estimate
    wrong: Estimate
    nothing: Estimate


def sample_words(files: Sequence[SourceFile], n_words: int, *, signs: bool = False) -> list[Word]:
    """Draws words of `MIN_WORD_CHARS` characters or more, a few from each file in turn, in the order of the file.

    Args:
        files: Where they are drawn from.
        n_words: How many.
        signs: Draws runs of two to four signs instead.

    Raises:
        TrainingError: If there are too few.
    """
    rng = random.Random(0)  # noqa: S311 - nothing secret
    drawn: dict[tuple[str, int], Word] = {}
    for file in list(files) * _ROUNDS:
        if len(file.text) <= _MIN_PREFIX_CHARS:
            continue
        start = rng.randrange(_MIN_PREFIX_CHARS, len(file.text))
        for word in islice(_words_from(file, start, _SIGNS if signs else _WORD), _WORDS_A_FILE):
            if len(drawn) < n_words:
                drawn.setdefault((word.file, len(word.before)), word)
        if len(drawn) == n_words:
            return list(drawn.values())
    raise TrainingError("The files have too few words to complete; ask for fewer.")


def try_words(
    complete: Callable[[CompletionRequest], Completion],
    words: Sequence[Word],
    *,
    green_modes: Sequence[int],
    letters: Sequence[int] = LETTERS,
    is_asked: Callable[[str, int], bool] = lambda _prefix, _green_mode: True,
    progress: ProgressSink = no_progress,
) -> list[TriedWord]:
    """Asks at every word after so many of its letters, at every position of the slider.

    Args:
        complete: `Engine.complete`.
        words: What is typed; the rest of the line is empty, as it is for who types.
        green_modes: Positions of the slider.
        letters: Numbers of letters typed.
        is_asked: Whether the server would ask at all, by the text before the cursor and the slider's position.
        progress: Is called for each word.
    """
    tried: list[TriedWord] = []
    for done, word in enumerate(words):
        progress("Completing words", done, len(words))
        for green_mode in green_modes:
            for n in letters:
                prefix = word.before + word.word[:n]
                request = CompletionRequest(
                    prefix=prefix, suffix="\n", language_id=word.language, green_mode=green_mode
                )
                text = complete(request).text if is_asked(prefix, green_mode) else ""
                offer = offer_of(text, word.word[n:])
                tried.append(TriedWord(file=word.file, green_mode=green_mode, letters=n, offer=offer))
    return tried


def offer_of(text: str, rest: str) -> WordOffer:
    """What an offered text is to a word of which the rest is still to come."""
    if not text:
        return WordOffer.NOTHING
    goes_on = r"\w" if is_word(rest[-1:]) else r"[^\w\s]"
    return WordOffer.RIGHT if re.match(rf"{re.escape(rest)}(?!{goes_on})", text) else WordOffer.WRONG


def word_shares(tried: Sequence[TriedWord]) -> list[WordShares]:
    """One row for each position of the slider and number of letters, with 95 % intervals over files and words."""
    rows = []
    for green_mode, letters in dict.fromkeys((one.green_mode, one.letters) for one in tried):
        offers = [one for one in tried if (one.green_mode, one.letters) == (green_mode, letters)]
        weights = draws_of_groups([one.file for one in offers])
        share = {
            offer: estimate(weights @ np.array([one.offer is offer for one in offers], float) / weights.sum(axis=1))
            for offer in WordOffer
        }
        rows.append(
            WordShares(
                green_mode=green_mode,
                letters=letters,
                n_words=len(offers),
                right=share[WordOffer.RIGHT],
                wrong=share[WordOffer.WRONG],
                nothing=share[WordOffer.NOTHING],
            )
        )
    return rows


def _words_from(file: SourceFile, start: int, kind: re.Pattern[str]) -> Iterator[Word]:
    for found in kind.finditer(file.text, start):
        yield Word(
            file=f"{file.package}/{file.path}",
            language=file.language,
            before=file.text[: found.start()],
            word=found.group(),
        )
