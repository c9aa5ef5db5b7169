"""CodeXGLUE's own measures of code completion, as its evaluators count them.

Of tokens, the share that is right, without those that stand for line ends and borders; of lines, exact match token by
token, and edit similarity in whole percent (https://github.com/microsoft/CodeXGLUE, Code-Code). Literals count by what
stands in them. Knows no model.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNCOUNTED = frozenset({"<s>", "</s>", "<EOL>", "<pad>"})
_NAMED_LITERAL = re.compile(r"<(?:STR|NUM|CHAR)_LIT:(.*?)>", re.DOTALL)


def without_literals(code: str) -> str:
    """Tokenised code with its literals as their evaluator reads them: their value, where that is told."""
    code = code.replace("<NUM_LIT>", "0").replace("<STR_LIT>", "").replace("<CHAR_LIT>", "")
    return _NAMED_LITERAL.sub(lambda found: found[1], code)


def token_accuracy(said: Sequence[str], truth: Sequence[str]) -> tuple[int, int]:
    """How many tokens of the truth are right where they stand, and how many count."""
    counted = [at for at, token in enumerate(truth) if token not in _UNCOUNTED]
    return sum(at < len(said) and said[at] == truth[at] for at in counted), len(counted)


def exact_match(said: str, truth: str) -> bool:
    """Whether the tokens are those of the truth, however they are spaced."""
    return without_literals(said).split() == without_literals(truth).split()


def edit_similarity_percent(said: str, truth: str) -> int:
    """0 to 100: characters in common, in order, in both texts."""
    from rapidfuzz import fuzz

    return round(fuzz.ratio(without_literals(said).strip(), without_literals(truth).strip()))
