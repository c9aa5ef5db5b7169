"""Reads files of packages that the model has not seen, and looks who knew the next token.

Each package is a project: a file is read by the model at full depth, and at every token the project's other files and
the file itself, up to there, are asked as well. It knows nothing of how far they are trusted.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.project.continuations import Continuations
from engine.project.project_text import ProjectText
from engine.project.trust import CERTAINTIES, N_CELLS, ProjectTrust, SourceTrust
from engine.training.states import block_states
from engine.types import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from engine.corpus.packages import CorpusLanguage
    from engine.corpus.source_text import SourceFile
    from engine.model.loaded import LoadedModel
    from engine.project.followers import Followers
    from engine.types import ProgressSink

_BLOCK_TOKENS = 700
_PASSED_OVER = 100  # of a block, for which the model has too little to go on
_MOST_FILES = 160  # of a package


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedToken:
    """One token of a file, and who knew it.

    Attributes:
        package: The file's.
        language: The file's.
        token_id: The token.
        by_model: The model's chance of it.
        model_choice: What the model would have chosen.
        model_chance: Its chance of that.
        candidates: Its chance of each token that the project knew of.
        files: What the project's other files said.
        document: What the document said.
    """

    package: str
    language: CorpusLanguage
    token_id: int
    by_model: float
    model_choice: int
    model_chance: float
    candidates: Mapping[int, float]
    files: Followers | None
    document: Followers | None


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
    for done, (package, all_files) in enumerate(sorted(by_package.items())):
        rng = random.Random(f"{seed} {package}")  # noqa: S311 - nothing secret; another package changes nothing here
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
            language=file.language,
            token_id=ids[at],
            by_model=float(chances[ids[at]]),
            model_choice=int(chances.argmax()),
            model_chance=float(chances.max()),
            candidates={token_id: float(chances[token_id]) for token_id in (said.token_ids if said else ())},
            files=said.files if said else None,
            document=said.document if said else None,
        )


_EVEN = SourceTrust(mixed=(0.0,) * N_CELLS, mixed_by_certainty=(0.0,) * (len(CERTAINTIES) + 1), right=(0.0,) * N_CELLS)
_UNFITTED = ProjectTrust(files=_EVEN, document=_EVEN, agreement=0.0, model="", n_tokens=0, created="")
"""For who asks what was found, and not how far to trust it."""
