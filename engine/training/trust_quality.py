"""How good a trust in projects is, by language, on packages that it was not fitted on. Intervals are over packages.

A chance that is said is compared with how often it was right, for what is believed too much is shown at exit zero
without a layer. It knows nothing of fitting.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from engine.intervals import Estimate, draws, estimate
from engine.project.continuations import Guess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.corpus.packages import CorpusLanguage
    from engine.project.trust import ProjectTrust
    from engine.training.trust_observations import ObservedToken

CHANCES = (0.2, 0.4, 0.6, 0.8, 0.9)  # where the next row of the table begins
_LEAST = 1e-12  # a chance that has a logarithm


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidChance:
    """The tokens of which the project alone says one with about the same chance.

    Attributes:
        share: Their share of all tokens.
        said: The mean chance.
        right: How often it was right.
    """

    share: Estimate
    said: Estimate
    right: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustQuality:
    """What a trust brings.

    Attributes:
        n_tokens: On how many tokens.
        bits_alone: Bits a token of the model alone.
        bits_mixed: Of its mixture with the project.
        right_alone: Share of tokens that the model alone has right.
        right_mixed: That the mixture has right.
        said: By the chance that the project alone says, one more than `CHANCES`.
    """

    n_tokens: int
    bits_alone: Estimate
    bits_mixed: Estimate
    right_alone: Estimate
    right_mixed: Estimate
    said: tuple[SaidChance, ...]


def judge(judged: Sequence[tuple[ObservedToken, ProjectTrust]]) -> TrustQuality:
    """Judges trusts, each token by its own, which should not have been fitted on the token's package."""
    packages = {package: at for at, package in enumerate(sorted({token.package for token, _ in judged}))}
    mixture = np.zeros((len(packages), 5))  # tokens, bits alone and mixed, right alone and mixed
    alone = np.zeros((len(packages), len(CHANCES) + 1, 3))  # tokens, chances, right ones
    for token, trust in judged:
        at, guess = packages[token.package], _guess(token, trust)
        right = (token.model_choice == token.token_id, _choice(token, guess) == token.token_id)
        mixture[at] += (1.0, _bits(token.by_model), _bits(_mixed(token, trust)), *right)
        if guess is not None:
            alone[at, bisect_right(CHANCES, guess.chance)] += (1.0, guess.chance, guess.token_id == token.token_id)
    drawn = draws(len(packages))
    n_tokens, *sums = (drawn @ mixture).T
    bits_alone, bits_mixed, right_alone, right_mixed = (estimate(of / n_tokens) for of in sums)
    with np.errstate(invalid="ignore"):  # a draw may have no token of a row
        said = [
            SaidChance(share=estimate(n / n_tokens), said=estimate(chances / n), right=estimate(right / n))
            for n, chances, right in ((drawn @ alone[:, row]).T for row in range(alone.shape[1]))
        ]
    return TrustQuality(
        n_tokens=len(judged),
        bits_alone=bits_alone,
        bits_mixed=bits_mixed,
        right_alone=right_alone,
        right_mixed=right_mixed,
        said=tuple(said),
    )


def trust_table(by_language: Mapping[CorpusLanguage, TrustQuality]) -> str:
    """Two Markdown tables: what the mixture brings in each language, and what the chances of the project say there."""
    rows = [
        "| language | tokens | bits alone | with the project | right alone | with the project |",
        "|---|" + "---|" * 5,
    ]
    for language, quality in by_language.items():
        figures = (quality.bits_alone, quality.bits_mixed, quality.right_alone, quality.right_mixed)
        rows.append(f"| {language} | {quality.n_tokens} | " + " | ".join(map(_shown, figures)) + " |")
    rows += ["", "| language | chance by the project alone | share of tokens | said | right |", "|---|" + "---|" * 4]
    names = (f"below {CHANCES[0]}", *(f"{low} to {high}" for low, high in pairwise(CHANCES)))
    for language, quality in by_language.items():
        for name, row in zip((*names, f"{CHANCES[-1]} and more"), quality.said, strict=True):
            shares = f"{row.share.value:.2f} | {row.said.value:.2f}"
            rows.append(f"| {language} | {name} | {shares} | {_shown(row.right)} |")
    return "\n".join(rows)


def _guess(token: ObservedToken, trust: ProjectTrust) -> Guess | None:
    best = trust.best(token.files, token.document)
    return None if best is None else Guess(*best, token.files, token.document, trust)


def _choice(token: ObservedToken, guess: Guess | None) -> int:
    if guess is None:
        return token.model_choice
    return guess.mixed(token.model_choice, token.model_chance, dict(token.candidates))[0]


def _mixed(token: ObservedToken, trust: ProjectTrust) -> float:
    weights = trust.weights(token.files, token.document, token.model_chance)
    by_source = (
        token.by_model,
        *(source.share_of(token.token_id) if source else 0.0 for source in (token.files, token.document)),
    )
    return sum(weight * share for weight, share in zip(weights, by_source, strict=True))


def _bits(chance: float) -> float:
    return -math.log2(max(chance, _LEAST))


def _shown(figure: Estimate) -> str:
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
