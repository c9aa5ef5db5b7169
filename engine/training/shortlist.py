"""The tokens that occur in code: what the head is evaluated for at exits.

Counted over the training text, the most frequent first. On held-out packages 12,288 of the default model's 49,152
tokens are 98.5 % of all; an exit's agreement with the last layer falls by 0.005 at most. Larger vocabularies spell code
in more tokens: Gemma 3 chooses 96.6 % of its tokens from 12,288 of 262,144, and 99.0 % from a tenth. Knows no model.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.corpus.source_text import SourceFile
    from engine.model.tokenization import Tokenization

LEAST_TOKENS = 12_288
_SHARE = 10  # the list is the vocabulary over this, where that is more

_FILES = 2500  # about two million tokens: beyond them the list hardly changes
_CHARS = 12_000  # of one file, so that no long one outweighs the rest


def shortlist(files: Sequence[SourceFile], tokenization: Tokenization, n_vocabulary: int) -> torch.Tensor | None:
    """Ids of the most frequent tokens and of those that end a text, ascending, [S].

    None where the vocabulary is too small for a list to save anything.
    """
    if n_vocabulary <= 2 * LEAST_TOKENS:
        return None
    n_tokens = max(LEAST_TOKENS, n_vocabulary // _SHARE)
    counts: Counter[int] = Counter()
    for file in files[:_FILES]:
        counts.update(tokenization.encode(file.text[:_CHARS]))
    wanted = set(tokenization.end_ids)
    for token_id, _ in counts.most_common(n_tokens):
        if len(wanted) < n_tokens:
            wanted.add(token_id)
    return torch.tensor(sorted(wanted))
