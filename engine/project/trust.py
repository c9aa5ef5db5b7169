"""`ProjectTrust`: how far to trust what a project says, beside a model and alone.

What followed an agreement falls into a cell: by how many tokens agree, how often they stood there, and which share of
it the most frequent follower had. For each cell of each source there are log-odds, fitted by
`engine.training.trust_fit`. It knows no text and no decoder.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.fitted import FittedRecord

if TYPE_CHECKING:
    from engine.project.followers import Followers

LENGTHS = (2, 3, 5, 8, 12)  # where the next bin begins
SHARES = (0.5, 0.9)
COUNTS = (2, 4)
CERTAINTIES = (0.3, 0.6, 0.9)
N_CELLS = 1 + (len(LENGTHS) + 1) * (len(SHARES) + 1) * (len(COUNTS) + 1)  # the first is for no agreement at all


def cell_of(found: Followers | None) -> int:
    """The cell of what one source says."""
    if found is None:
        return 0
    length, share, count = (
        bisect_right(LENGTHS, found.length),
        bisect_right(SHARES, found.shares[0]),
        bisect_right(COUNTS, found.count),
    )
    return 1 + (length * (len(SHARES) + 1) + share) * (len(COUNTS) + 1) + count


def certainty_of(chance: float) -> int:
    """The bin of a model's own certainty, which is the chance of what it would choose."""
    return bisect_right(CERTAINTIES, chance)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTrust:
    """What was fitted for one source.

    Attributes:
        mixed: Log-odds of the source against the model in their mixture, by cell.
        mixed_by_certainty: Added to them, by the bin of the model's certainty.
        right: Log-odds that its most frequent follower is right, by cell.
    """

    mixed: tuple[float, ...]
    mixed_by_certainty: tuple[float, ...]
    right: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectTrust:
    """The fitted trust in each source, and where it comes from.

    Attributes:
        files: Trust in the project's other files.
        document: Trust in the document itself.
        agreement: Added to the log-odds of being right where both sources say the same; where they do not, taken away.
        model: The model beside which it was fitted.
        n_tokens: On how many tokens.
        created: Date, ISO 8601.
    """

    files: SourceTrust
    document: SourceTrust
    agreement: float
    model: str
    n_tokens: int
    created: str

    def weights(self, files: Followers | None, document: Followers | None, chance: float) -> tuple[float, float, float]:
        """The shares of model, files and document in their mixture; they sum to 1.

        Args:
            files: What the project's other files say.
            document: What the document says.
            chance: The model's own, of what it would choose.
        """
        certainty = certainty_of(chance)
        odds_files = _odds(self.files, files, certainty)
        odds_document = _odds(self.document, document, certainty)
        all_odds = 1.0 + odds_files + odds_document
        return 1.0 / all_odds, odds_files / all_odds, odds_document / all_odds

    def best(self, files: Followers | None, document: Followers | None) -> tuple[int, float] | None:
        """The token that the project alone would choose, and the chance that it is right; None without agreement."""
        said = [
            (source.right[cell_of(found)], found.ids[0])
            for source, found in ((self.files, files), (self.document, document))
            if found is not None
        ]
        if not said:
            return None
        odds, token_id = max(said)
        if len(said) == 2:  # noqa: PLR2004 - both
            odds += self.agreement if said[0][1] == said[1][1] else -self.agreement
        return token_id, 1.0 / (1.0 + math.exp(-odds))


def _odds(trust: SourceTrust, found: Followers | None, certainty: int) -> float:
    return 0.0 if found is None else math.exp(trust.mixed[cell_of(found)] + trust.mixed_by_certainty[certainty])


TRUST = FittedRecord(
    kind=ProjectTrust,
    packaged=Path(__file__).with_name("trust.json"),
    own_name="project-trust.json",
    subject="How far a project's text is trusted",
    command="green-code train project",
)
"""The trust that was fitted on this machine, else the shipped one, which knows the default model."""
