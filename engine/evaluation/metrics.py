"""How like the reference a suggestion is: line match, edit similarity, ROUGE-L, CodeBLEU by the language's grammar.

The measures are those of their own libraries, in the `evaluate` extra; this module only feeds them code.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from engine.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GRAMMARS = ("python", "java")

_WORDS = re.compile(r"\w+|[^\w\s]")  # a word, or one sign


def check_libraries() -> None:
    """Refuses to begin what could not be finished.

    Raises:
        ConfigError: If the extra is not installed.
    """
    for library in ("codebleu", "matplotlib", "rapidfuzz", "rouge_score"):
        if find_spec(library) is None:
            raise ConfigError(
                f"Evaluation needs the package '{library}', which is not here; "
                "install it with `pip install 'green-code[evaluate]'`."
            )


def same_line(suggestion: str, truth: str) -> bool:
    """Whether the suggestion's first line is the one in the file; blanks at its end do not count."""
    line = suggestion.partition("\n")[0].rstrip()
    return bool(line) and line == truth.partition("\n")[0].rstrip()


def edit_similarity(suggestion: str, reference: str) -> float:
    """1 less the share of characters to insert, delete and replace (Levenshtein) of the longer text's."""
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_similarity(suggestion.strip(), reference.strip()))


def rouge_l(suggestion: str, reference: str) -> float:
    """F1 of the longest common subsequence of words and signs (Lin 2004)."""
    from rouge_score.rouge_scorer import RougeScorer

    return float(RougeScorer(["rougeL"], tokenizer=_Words()).score(reference, suggestion)["rougeL"].fmeasure)


def code_bleu(suggestions: Sequence[str], references: Sequence[str], language: str) -> float | None:
    """CodeBLEU of a whole corpus of one language (Ren et al., arXiv 2009.10297), its four parts weighed alike.

    None without a grammar for the language, or without anything to compare. Words and signs are the tokens.
    """
    if language not in GRAMMARS or not suggestions:
        return None
    from codebleu import calc_codebleu

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it says there where a reference has no data flow, and counts it as agreeing
    try:
        scores = calc_codebleu([[text] for text in references], list(suggestions), language, tokenizer=_WORDS.findall)
    finally:
        root.setLevel(level)
    return float(scores["codebleu"])


def mean_code_bleu(said: Iterable[tuple[str, str, str]]) -> float | None:
    """The mean of each language's CodeBLEU, weighed by its places; None where a language has no grammar.

    Args:
        said: What was said at each place, what should have been, and the language.
    """
    by_language: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for text, reference, language in said:
        by_language[language].append((text, reference))
    total = 0.0
    for language, pairs in sorted(by_language.items()):
        score = code_bleu([text for text, _ in pairs], [reference for _, reference in pairs], language)
        if score is None:
            return None
        total += score * len(pairs)
    return total / sum(map(len, by_language.values()))


class _Words:
    """A tokenizer as rouge-score wants one; its own drops every sign."""

    def tokenize(self, text: str) -> list[Any]:
        return _WORDS.findall(text)
