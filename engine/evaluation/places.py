r"""Where suggestions are judged: cursors in files of packages that no training has seen.

A developer has typed the text before the cursor and is about to type the text behind it. The model sees only the
former.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Literal

from engine.completion.prompt import Prompt
from engine.completion.site import Site, offered, site_for
from engine.corpus.as_projects import document_in_package
from engine.corpus.cursors import draw_cursor
from engine.errors import TrainingError
from engine.types import CompletionRequest, FinishReason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.corpus.source_text import SourceFile

PAPER_CONTEXT = 0.2  # share of a file that is context in GREEN-CODE's protocol (arXiv 2501.11006)

_PAPER_PREFIX_CHARS = (200, 3000)  # less says nothing, more is a second of prefill for each place
_CHARS_A_TOKEN = 4  # of code, about: how much truth stands against a suggestion of so many tokens
_ROUNDS = 20  # times that the files are gone through before there are said to be too few places


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    r"""One cursor in one file.

    Attributes:
        language: The file's language.
        file: Package and path, for people.
        kind: Inside a line, at its start, where the paper's protocol cuts the file, or a benchmark's missing line.
        seed: The seed of the draw it comes from; random policies start from it as well.
        site: The cursor, as the product would know it; without a shape where decoded text is judged as it is.
        truth: What follows in the file, with "\n" line ends.
        reference: The part of the truth that a perfect suggestion of the same shape would be.
    """

    language: str
    file: str
    kind: Literal["mid-line", "line-start", "paper", "infilling"]
    seed: int
    site: Site
    truth: str
    reference: str


def sample_places(
    files: Sequence[SourceFile],
    n_places: int,
    *,
    seeds: int = 1,
    max_new_tokens: int = 24,
    in_packages: bool = False,
) -> list[Place]:
    """Draws places as a developer meets them: languages share them evenly, packages take turns, then their files.

    Args:
        files: Held-out text.
        n_places: How many places, shared out among the seeds.
        seeds: How many independent draws.
        max_new_tokens: How long a suggestion may be; the reference is no longer.
        in_packages: Whether a file's package has its say, as the project that it belongs to.

    Raises:
        TrainingError: If there are too few files to draw from.
    """
    return _draw(files, n_places, seeds, partial(_typed_place, max_new_tokens=max_new_tokens, in_package=in_packages))


def paper_places(
    files: Sequence[SourceFile], n_places: int, *, seeds: int = 1, max_new_tokens: int = 15
) -> list[Place]:
    """Draws places of GREEN-CODE's protocol: the first 20 % of a file as context, whatever stands there.

    Raises:
        TrainingError: If there are too few files to draw from.
    """
    return _draw(files, n_places, seeds, partial(_paper_place, max_new_tokens=max_new_tokens))


def without_shape(place: Place) -> Place:
    """The same place, where nothing but the model, the policy and the length limit ends the text."""
    return replace(place, site=replace(place.site, is_ruled=False), reference=place.truth.partition("\n")[0])


def _draw(
    files: Sequence[SourceFile],
    n_places: int,
    seeds: int,
    place_in: Callable[[SourceFile, random.Random, int], Place | None],
) -> list[Place]:
    """Each seed and each language gets its share; the first of them what is left over."""
    languages = sorted({file.language for file in files})
    shares = [(seed, language) for seed in range(seeds) for language in languages]
    places: list[Place] = []
    for at, (seed, language) in enumerate(shares):
        rng = random.Random(f"{seed} {language}")  # noqa: S311 - nothing secret
        wanted = n_places // len(shares) + (at < n_places % len(shares))
        queue = _in_turns([file for file in files if file.language == language], rng)
        drawn = (place_in(file, rng, seed) for file in queue * _ROUNDS)
        places += islice((place for place in drawn if place is not None), wanted)
    if len(places) < n_places:
        raise TrainingError("The held-out text has too few places to judge suggestions at; ask for fewer.")
    return places


def _in_turns(files: Sequence[SourceFile], rng: random.Random) -> list[SourceFile]:
    """All files in a random order in which packages take turns."""
    shuffled = sorted(files, key=lambda file: (file.package, file.path))  # the same order wherever they come from
    rng.shuffle(shuffled)
    counts: dict[str, int] = {}
    turns: list[int] = []
    for file in shuffled:
        counts[file.package] = counts.get(file.package, -1) + 1
        turns.append(counts[file.package])
    return [file for _, file in sorted(zip(turns, shuffled, strict=True), key=lambda pair: pair[0])]


def _typed_place(
    file: SourceFile, rng: random.Random, seed: int, *, max_new_tokens: int, in_package: bool
) -> Place | None:
    """A random cursor in the file; None where the draw hits nothing worth completing."""
    cursor = draw_cursor(file.text, rng.randrange(len(file.text)), rng)
    if cursor is None:
        return None
    prefix, truth = file.text[:cursor], file.text[cursor:]
    site = site_for(CompletionRequest(prefix=prefix, in_project=document_in_package(file) if in_package else None))
    return Place(
        language=file.language,
        file=f"{file.package}/{file.path}",
        kind="mid-line" if prefix.rpartition("\n")[2].strip() else "line-start",
        seed=seed,
        site=site,
        truth=truth,
        reference=_reference(truth, site, max_new_tokens),
    )


def _paper_place(file: SourceFile, rng: random.Random, seed: int, *, max_new_tokens: int) -> Place | None:
    cut = int(len(file.text) * PAPER_CONTEXT)
    low, high = _PAPER_PREFIX_CHARS
    truth = file.text[cut:]
    if not low <= cut <= high:
        return None
    return Place(
        language=file.language,
        file=f"{file.package}/{file.path}",
        kind="paper",
        seed=seed,
        site=Site(prefix=file.text[:cut], suffix="", prompt=Prompt(text=file.text[:cut], typed=""), is_ruled=False),
        truth=truth,
        reference=truth[: max_new_tokens * _CHARS_A_TOKEN],
    )


def _reference(truth: str, site: Site, max_new_tokens: int) -> str:
    """The truth cut as the product cuts a suggestion, to whole lines that so many tokens can reach; one at least."""
    lines = offered(site, site.prompt.typed + truth, FinishReason.STOP).splitlines()
    end, length = 0, 0
    while end < len(lines) and (end == 0 or length + len(lines[end]) <= max_new_tokens * _CHARS_A_TOKEN):
        length += len(lines[end]) + 1
        end += 1
    return "\n".join(lines[:end])
