"""Fits `AcceptanceModel`: asks the real engine at places of the training text and looks at what would be kept.

The places are those where an editor asks the model while somebody types: a few in each file, so that many files count,
its package beside it as the project, and only where the project alone has nothing to say. It knows no typist and no
server.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

from engine.completion.acceptance import OUTLOOK_SIGNS, AcceptanceModel, place_features
from engine.completion.kept import kept_characters
from engine.corpus.as_projects import document_in_package, give_packages
from engine.engine import load_engine
from engine.errors import TrainingError
from engine.outlook import Outlook
from engine.types import PROJECT_ALONE, CompletionRequest, no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.config import EngineConfig
    from engine.corpus.datasets import Corpus
    from engine.corpus.source_text import SourceFile
    from engine.types import ProgressSink

MIN_KEPT_CHARS = 3
"""Less is not worth the key that accepts it."""

_REGION_CHARS = 400  # of a file that places are drawn from: near each other, so that the prompt is read once
_PLACES_A_FILE = 24
_MIN_PREFIX_CHARS = 300
# Log-odds: where no project answers the easy places before the model does, 51 % are kept, not 43 %
# (engine/LOG.md, "Inside words").
_EASY_PLACES = 0.32
_FOLDS = 5
_SHRINKAGE = 0.3  # inverse strength of the L2 penalty


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPlace:
    """One place, and whether what the engine says there would be kept.

    Attributes:
        file: Package and path.
        prefix: The text before the cursor.
        outlook: What the project would say.
        kept: At least `MIN_KEPT_CHARS` of the suggestion are what follows in the file.
    """

    file: str
    prefix: str
    outlook: Outlook = field(default_factory=Outlook)
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedAcceptance:
    """The fit, and how well it tells places apart in files that it has not seen.

    Attributes:
        model: The fitted model, to be saved.
        auc: Area under the ROC curve over the held-out folds.
        kept_by_half: Share of the kept suggestions that stand at the half of the places with the greatest chance.
    """

    model: AcceptanceModel
    auc: float
    kept_by_half: float


def ask_places(
    config: EngineConfig,
    files: Sequence[SourceFile],
    n_files: int,
    *,
    seed: int = 0,
    progress: ProgressSink = no_progress,
) -> list[AskedPlace]:
    """Asks the engine at places of files that are long enough, where the project does not answer before it.

    Args:
        config: The model to ask.
        files: The files to draw places from; those of a package are its project.
        n_files: How many files to take, from the first on.
        seed: Seed of the draw of places.
        progress: Is called for each file.

    Raises:
        EngineError: If the model cannot be had.
    """
    engine = load_engine(config, progress=progress)
    give_packages(engine.project, files)
    asked: list[AskedPlace] = []
    rng = random.Random(seed)  # noqa: S311 - nothing secret
    long_enough = [file for file in files if len(file.text) >= _MIN_PREFIX_CHARS + _REGION_CHARS]
    for done, file in enumerate(long_enough[:n_files]):
        progress("Asking at places", done, min(n_files, len(long_enough)))
        for at in _places_in(file.text, rng):
            prefix, truth = file.text[:at], file.text[at:]
            request = CompletionRequest(
                prefix=prefix,
                suffix=truth.partition("\n")[1],
                language_id=file.language,
                in_project=document_in_package(file),
            )
            by_project = engine.complete(replace(request, policy=PROJECT_ALONE))
            if by_project.text:
                continue
            kept = kept_characters(engine.complete(request).text, truth) >= MIN_KEPT_CHARS
            asked.append(
                AskedPlace(
                    file=f"{file.package}/{file.path}",
                    prefix=prefix,
                    outlook=by_project.outlook or Outlook(),
                    kept=kept,
                )
            )
    engine.close()
    return asked


def fit_acceptance(asked: Sequence[AskedPlace], *, model: str, corpus: Corpus) -> FittedAcceptance:
    """Fits the regression, and judges it by cross-validation over files.

    Raises:
        TrainingError: If the places are too few, or all alike.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict

    files = [place.file for place in asked]
    kept = np.array([place.kept for place in asked])
    if len(set(files)) < _FOLDS or kept.all() or not kept.any():
        raise TrainingError(f"There are too few places to learn from; ask in {_FOLDS} files at least.")
    signs = [place_features(place.prefix, place.outlook) for place in asked]
    inputs = np.array([list(sign.values()) for sign in signs], float)
    regression = LogisticRegression(C=_SHRINKAGE, max_iter=1000)
    chances = cross_val_predict(regression, inputs, kept, groups=files, cv=GroupKFold(_FOLDS), method="predict_proba")[
        :, 1
    ]
    likeliest = np.argsort(-chances)[: len(kept) // 2]
    regression.fit(inputs, kept)
    coefficients = {name: round(float(value), 4) for name, value in zip(signs[0], regression.coef_[0], strict=True)}
    averages = dict(zip(signs[0], inputs.mean(axis=0), strict=True))
    return FittedAcceptance(
        model=AcceptanceModel(
            intercept=float(regression.intercept_[0]),
            coefficients=coefficients,
            no_outlook=round(
                _EASY_PLACES + float(sum(coefficients[name] * averages[name] for name in OUTLOOK_SIGNS)), 4
            ),
            mean=float(kept.mean()),
            model=model,
            n_places=len(asked),
            corpus_sha256=corpus.sha256,
            created=date.today().isoformat(),  # noqa: DTZ011 - the day where it was made
        ),
        auc=float(roc_auc_score(kept, chances)),
        kept_by_half=float(kept[likeliest].sum() / kept.sum()),
    )


def _places_in(text: str, rng: random.Random) -> Iterator[int]:
    """Ascending places of one region of a file, none inside an indentation, which comes with the line end."""
    start = rng.randint(_MIN_PREFIX_CHARS, len(text) - _REGION_CHARS)
    typed = [
        at
        for at in range(start, start + _REGION_CHARS)
        if not text[at : at + 1].isspace() or text[text.rfind("\n", 0, at) + 1 : at].strip()
    ]
    yield from sorted(rng.sample(typed, min(_PLACES_A_FILE, len(typed))))
