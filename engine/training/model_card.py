"""The card of trained exits: what they were made of, how good they are, and what they are not, for whoever finds them.

Says what the training found, and no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.config import VERSION
from engine.training.agreement import quality_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.training.exits import ExitTraining


def model_card(training: ExitTraining, *, licence: str, languages: Sequence[str]) -> str:
    """Markdown with the head that the hub reads.

    Args:
        training: What was trained.
        licence: What the model's family is licensed under, for people.
        languages: Programming languages of the training text.
    """
    info = training.exits.info
    learned = "a linear map for each"
    if training.jointly:
        learned += ", and low-rank updates of the layers, trained together with them"
    elif training.exits.updates:
        learned += ", beside low-rank updates of the layers from an earlier training"
    else:
        learned += "; the model's own weights are unchanged"
    listed = training.exits.shortlist
    shortlist = "" if listed is None else f" An exit chooses from the {len(listed):,} tokens that occur in code."
    return f"""---
base_model: {info.model}
library_name: green-code
---

# Early exits of {info.model}

Exits after layers {", ".join(map(str, info.exit_layers))}: {learned}.{shortlist}

- **Made** on {info.created} by Green Code {VERSION}, from {info.train_tokens:,} tokens of {", ".join(languages)}
  (corpus {info.corpus_sha256[:16]}).
- **For** the weights with the fingerprint {info.fingerprint}; others are refused.
- **Licence**: {licence}, by the model's family; the model's own card says what holds, for these exits too.

## How good they are

On packages that no training has read. *Agreement* is the share of tokens on which an exit chooses what the last layer
chooses, *accuracy* what stands in the text; in brackets 95 % intervals over files. The deepest row is the last layer.

{quality_table(training.before, training.after)}

Both flatter: every token stands behind the true text, where a suggestion stands behind its own. Other languages were
not judged. What a suggestion then costs and gives, `green-code evaluate --model {info.model}` says.
"""
