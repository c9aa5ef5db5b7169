"""Fits `ProjectTrust`: reads files of packages that the model has not seen, and looks who knew the next token.

Each package is a project: a file is read by the model at full depth, and at every token the project's other files and
the file itself, up to there, are asked as well. The trust is judged on packages that it was not fitted on.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import torch

from engine.errors import TrainingError
from engine.project.continuations import Continuations, Guess
from engine.project.project_text import ProjectText
from engine.project.trust import CERTAINTIES, N_CELLS, ProjectTrust, SourceTrust, cell_of, certainty_of
from engine.training.states import block_states
from engine.types import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from engine.corpus.source_text import SourceFile
    from engine.model.loaded import LoadedModel
    from engine.project.followers import Followers
    from engine.types import ProgressSink

_BLOCK_TOKENS = 700
_PASSED_OVER = 100  # of a block, for which the model has too little to go on
_MOST_FILES = 160  # of a package
_SHRINKAGE = 2.0  # strength of the pull towards the odds that fitting begins with
_FIRST_ODDS = (-2.0, -3.0)  # of files and document, in the mixture
_LEAST = 1e-12  # a chance that has a logarithm


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedToken:
    """One token of a file, and who knew it.

    Attributes:
        package: The file's.
        token_id: The token.
        by_model: The model's chance of it.
        model_choice: What the model would have chosen.
        model_chance: Its chance of that.
        candidates: Its chance of each token that the project knew of.
        files: What the project's other files said.
        document: What the document said.
    """

    package: str
    token_id: int
    by_model: float
    model_choice: int
    model_chance: float
    candidates: Mapping[int, float]
    files: Followers | None
    document: Followers | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedTrust:
    """The fit, and what it brings in packages that it has not seen.

    Attributes:
        trust: Fitted on all of them, to be saved.
        bits_alone: Bits a token of the model alone.
        bits_mixed: Of the mixture.
        right_alone: Share of tokens that the model alone has right.
        right_mixed: That the mixture has right.
        sure: Share of tokens that the project alone is sure of, with a chance of `SURE`.
        sure_right: Share of those that are right.
    """

    trust: ProjectTrust
    bits_alone: float
    bits_mixed: float
    right_alone: float
    right_mixed: float
    sure: float
    sure_right: float


SURE = 0.9


def observe(
    loaded: LoadedModel,
    files: Sequence[SourceFile],
    *,
    blocks_a_package: int,
    seed: int = 0,
    progress: ProgressSink = no_progress,
) -> list[ObservedToken]:
    """Reads blocks of files, each with the rest of its package as its project.

    Args:
        loaded: The model.
        files: Those of packages that it has not seen.
        blocks_a_package: How many blocks of each package are read, each of another file.
        seed: Chooses them.
        progress: Is called for each block.
    """
    by_package: dict[str, list[SourceFile]] = defaultdict(list)
    for file in files:
        by_package[file.package].append(file)
    observed: list[ObservedToken] = []
    rng = random.Random(seed)  # noqa: S311 - nothing secret
    for done, (package, all_files) in enumerate(sorted(by_package.items())):
        known = rng.sample(all_files, min(_MOST_FILES, len(all_files)))
        project = ProjectText(loaded.tokenization.encode_text, loaded.model.n_vocabulary)
        for file in known:
            project.replace(file.path, file.text)
        project.sort()
        n_blocks = 0
        for file in known:
            ids = loaded.tokenization.encode_text(file.text)
            if len(ids) <= _BLOCK_TOKENS or n_blocks == blocks_a_package:
                continue
            progress(f"Reading {package}", done * blocks_a_package + n_blocks, len(by_package) * blocks_a_package)
            start = rng.randrange(len(ids) - _BLOCK_TOKENS)
            observed += _observed(loaded, project, file, ids[: start + _BLOCK_TOKENS], start)
            n_blocks += 1
    return observed


def fit_trust(observed: Sequence[ObservedToken], *, model: str) -> FittedTrust:
    """Fits the trust, and judges it by leaving out one package after another.

    Raises:
        TrainingError: If there are fewer than two packages.
    """
    packages = sorted({token.package for token in observed})
    if len(packages) < 2:  # noqa: PLR2004
        raise TrainingError("The trust in projects is judged on packages that it was not fitted on: two are needed.")
    judged: list[tuple[ObservedToken, ProjectTrust]] = []
    for package in packages:
        trust = _fit([token for token in observed if token.package != package], model)
        judged += [(token, trust) for token in observed if token.package == package]
    bits = [_bits(token, trust) for token, trust in judged]
    guesses = [_guess(token, trust) for token, trust in judged]
    is_sure = [
        (guess, token) for guess, (token, _) in zip(guesses, judged, strict=True) if guess and guess.chance >= SURE
    ]
    n_tokens = len(observed)
    return FittedTrust(
        trust=_fit(observed, model),
        bits_alone=sum(-math.log2(max(token.by_model, _LEAST)) for token in observed) / n_tokens,
        bits_mixed=sum(bits) / n_tokens,
        right_alone=sum(token.model_choice == token.token_id for token in observed) / n_tokens,
        right_mixed=sum(
            _choice(token, guess) == token.token_id for guess, (token, _) in zip(guesses, judged, strict=True)
        )
        / n_tokens,
        sure=len(is_sure) / n_tokens,
        sure_right=sum(guess.token_id == token.token_id for guess, token in is_sure) / max(1, len(is_sure)),
    )


def _observed(
    loaded: LoadedModel, project: ProjectText, file: SourceFile, ids: Sequence[int], start: int
) -> Iterator[ObservedToken]:
    model = loaded.model
    states = block_states(model, ids[start:]).last
    logits = model.to_numpy(model.head(model.mapped(states[None, _PASSED_OVER:], model.n_layers)))[0]
    first = start + _PASSED_OVER + 2  # the first token has no state here, and a state chooses the next token
    others = project.without(file.path)
    for row, at in zip(logits, range(first, len(ids)), strict=True):
        odds = np.exp(row - row.max())
        chances = odds / odds.sum()
        said = Continuations(others, _UNFITTED, ids[:at], model.n_vocabulary).after([])
        yield ObservedToken(
            package=file.package,
            token_id=ids[at],
            by_model=float(chances[ids[at]]),
            model_choice=int(chances.argmax()),
            model_chance=float(chances.max()),
            candidates={token_id: float(chances[token_id]) for token_id in (said.token_ids if said else ())},
            files=said.files if said else None,
            document=said.document if said else None,
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
            torch.exp(mixed[at][cells[at]] + added[at][certainty]) * (cells[at] > 0) for at in range(len(_FIRST_ODDS))
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


def _guess(token: ObservedToken, trust: ProjectTrust) -> Guess | None:
    best = trust.best(token.files, token.document)
    return None if best is None else Guess(*best, token.files, token.document, trust)


def _choice(token: ObservedToken, guess: Guess | None) -> int:
    if guess is None:
        return token.model_choice
    return guess.mixed(token.model_choice, token.model_chance, dict(token.candidates))[0]


def _bits(token: ObservedToken, trust: ProjectTrust) -> float:
    weights = trust.weights(token.files, token.document, token.model_chance)
    by_source = (
        token.by_model,
        *(source.share_of(token.token_id) if source else 0.0 for source in (token.files, token.document)),
    )
    return -math.log2(max(sum(weight * share for weight, share in zip(weights, by_source, strict=True)), _LEAST))


_EVEN = SourceTrust(mixed=(0.0,) * N_CELLS, mixed_by_certainty=(0.0,) * (len(CERTAINTIES) + 1), right=(0.0,) * N_CELLS)
_UNFITTED = ProjectTrust(files=_EVEN, document=_EVEN, agreement=0.0, model="", n_tokens=0, created="")
"""For who asks what was found, and not how far to trust it."""
