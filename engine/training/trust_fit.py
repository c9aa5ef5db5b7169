"""Fits `ProjectTrust` to who knew the next token, and judges it on packages that it was not fitted on."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import torch

from engine.errors import TrainingError
from engine.project.trust import CERTAINTIES, N_CELLS, ProjectTrust, SourceTrust, cell_of, certainty_of
from engine.training.trust_quality import TrustQuality, judge
from engine.types import no_progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.corpus.packages import CorpusLanguage
    from engine.project.followers import Followers
    from engine.training.trust_observations import ObservedToken
    from engine.types import ProgressSink

_SHRINKAGE = 2.0  # strength of the pull towards the odds that fitting begins with
_FIRST_ODDS = (-2.0, -3.0)  # of files and document, in the mixture
_LEAST = 1e-12  # a chance that has a logarithm


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedTrust:
    """The fit, and what it brings in packages that it has not seen.

    Attributes:
        trust: Fitted on all of them, to be saved.
        by_language: Its quality, each package judged by a fit on the others.
    """

    trust: ProjectTrust
    by_language: Mapping[CorpusLanguage, TrustQuality]


def fit_trust(observed: Sequence[ObservedToken], *, model: str, progress: ProgressSink = no_progress) -> FittedTrust:
    """Fits the trust, and judges it by leaving out one package after another.

    Args:
        observed: Who knew the tokens of two packages or more.
        model: The model beside which they were observed.
        progress: Is called for each package.

    Raises:
        TrainingError: If there are fewer than two packages.
    """
    packages = sorted({token.package for token in observed})
    if len(packages) < 2:  # noqa: PLR2004
        raise TrainingError("The trust in projects is judged on packages that it was not fitted on: two are needed.")
    judged: dict[CorpusLanguage, list[tuple[ObservedToken, ProjectTrust]]] = defaultdict(list)
    for done, package in enumerate(packages):
        progress(f"Judging on {package}", done, len(packages))
        trust = _fit([token for token in observed if token.package != package], model)
        for token in observed:
            if token.package == package:
                judged[token.language].append((token, trust))
    return FittedTrust(
        trust=_fit(observed, model),
        by_language={language: judge(judged[language]) for language in sorted(judged)},
    )


def _fit(observed: Sequence[ObservedToken], model: str) -> ProjectTrust:
    """The most likely mixture, and how often each source alone is right."""
    cells = [torch.tensor([cell_of(source) for source in sources]) for sources in _sources(observed)]
    certainty = torch.tensor([certainty_of(token.model_chance) for token in observed])
    by_model = torch.tensor([token.by_model for token in observed], dtype=torch.float64)
    shares = [
        torch.tensor(
            [
                source.share_of(token.token_id) if source else 0.0
                for source, token in zip(sources, observed, strict=True)
            ],
            dtype=torch.float64,
        )
        for sources in _sources(observed)
    ]
    first = [torch.full((N_CELLS,), odds, dtype=torch.float64) for odds in _FIRST_ODDS]
    mixed = [odds.clone().requires_grad_() for odds in first]
    added = [torch.zeros(len(CERTAINTIES) + 1, dtype=torch.float64, requires_grad=True) for _ in first]
    optimiser = torch.optim.LBFGS([*mixed, *added], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        odds = [
            torch.exp(mixed[at].index_select(0, cells[at]) + added[at].index_select(0, certainty)) * (cells[at] > 0)
            for at in range(len(_FIRST_ODDS))
        ]
        chance = (by_model + odds[0] * shares[0] + odds[1] * shares[1]) / (1 + odds[0] + odds[1])
        pull = sum(((now - then) ** 2).sum() for now, then in zip(mixed, first, strict=True))
        total = -torch.log(chance.clamp_min(_LEAST)).sum() + _SHRINKAGE / 2 * (pull + sum((a**2).sum() for a in added))
        total.backward()  # type: ignore[no-untyped-call] # torch has no annotation there
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call] # torch has no annotation there
    right = [_right(sources, observed) for sources in _sources(observed)]
    trusts = [
        SourceTrust(mixed=_rounded(mixed[at]), mixed_by_certainty=_rounded(added[at]), right=right[at])
        for at in range(len(_FIRST_ODDS))
    ]
    return ProjectTrust(
        files=trusts[0],
        document=trusts[1],
        agreement=_agreement(observed, *right),
        model=model,
        n_tokens=len(observed),
        created=date.today().isoformat(),  # noqa: DTZ011 - the day where it was made
    )


def _sources(observed: Sequence[ObservedToken]) -> tuple[list[Followers | None], list[Followers | None]]:
    return [token.files for token in observed], [token.document for token in observed]


def _right(sources: Sequence[Followers | None], observed: Sequence[ObservedToken]) -> tuple[float, ...]:
    """The log-odds, by cell, that the most frequent follower is right; half a case more of each kind."""
    counts = np.zeros((N_CELLS, 2))
    for source, token in zip(sources, observed, strict=True):
        if source is not None:
            counts[cell_of(source), int(source.ids[0] == token.token_id)] += 1
    return tuple(np.log((counts[:, 1] + 0.5) / (counts[:, 0] + 1.0)).round(4).tolist())


def _agreement(observed: Sequence[ObservedToken], files: Sequence[float], document: Sequence[float]) -> float:
    """What agreement adds to the log-odds, and disagreement takes away: the most likely of a grid."""
    cases = []
    for token in observed:
        if token.files is not None and token.document is not None:
            odds, token_id = max(
                (files[cell_of(token.files)], token.files.ids[0]),
                (document[cell_of(token.document)], token.document.ids[0]),
            )
            sign = 1.0 if token.files.ids[0] == token.document.ids[0] else -1.0
            cases.append((odds, sign, 1.0 if token_id == token.token_id else -1.0))
    if not cases:
        return 0.0
    odds, sign, is_right = np.array(cases).T
    return float(
        min(np.linspace(0.0, 2.0, 41), key=lambda added: np.log1p(np.exp(-is_right * (odds + added * sign))).sum())
    )


def _rounded(odds: torch.Tensor) -> tuple[float, ...]:
    return tuple(round(value, 4) for value in odds.detach().tolist())
