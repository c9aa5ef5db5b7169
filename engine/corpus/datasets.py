"""START HERE for training text: permissively licensed source from package registries, split by package.

`gather_corpus()` fetches what `corpus.json` pins, filters it, drops what stands twice or in a benchmark, and keeps the
result in the cache. The text itself is never part of Green Code. Knows nothing of models or tokens.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from engine import config
from engine.corpus.deduplication import contains_any, first_occurrences, shingles
from engine.corpus.packages import (
    PACKAGE_LIST,
    RECENT_PACKAGES,
    CorpusLanguage,
    Package,
    PackageList,
    Split,
    fetch_package,
    read_package_list,
    split_of,
)
from engine.corpus.source_text import SourceFile, read_sources
from engine.errors import TrainingError
from engine.files import written_whole
from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence, Set
    from pathlib import Path

_VERSION = 1  # raise it when the same packages give another text
_MOST_PACKAGE_CHARS = 300_000  # so that no package dominates
_WHOLE = 1 << 30  # characters: more than any package has
_PRECEDENCE: tuple[Split, ...] = ("test", "validation", "train")  # what stands twice stays in the split judged by

CORPUS_LANGUAGES: tuple[CorpusLanguage, ...] = ("python", "java")
RECENT_LANGUAGES: tuple[CorpusLanguage, ...] = ("python", "typescript")


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Training text.

    Attributes:
        sha256: Hash of every file's text in order; what was trained on it names it.
        files: The files of each split; in a split, packages take turns.
        path: The file of the cache that holds it all; None for text that is not from there.
    """

    sha256: str
    files: Mapping[Split, tuple[SourceFile, ...]]
    path: Path | None = None


def gather_corpus(
    *,
    languages: Collection[CorpusLanguage] = CORPUS_LANGUAGES,
    benchmarks: Sequence[Path] = (),
    package_list: Path = PACKAGE_LIST,
    progress: ProgressSink = no_progress,
) -> Corpus:
    """Fetches and prepares the training text; what is in the cache already is used as it is.

    Args:
        languages: Which languages to gather.
        benchmarks: Files in HumanEval's format (JSON lines with `prompt` and `canonical_solution`, may be gzipped)
            whose problems must not occur in the text.
        package_list: The list of packages.
        progress: Is called for each package that is fetched and read.

    Raises:
        TrainingError: If a package cannot be had, or a benchmark cannot be read.
    """
    listed = read_package_list(package_list)
    folder = config.cache_dir() / "corpus"
    problems = [shingles(problem) for path in benchmarks for problem in _problems(path)]
    wanted = sorted((p for p in listed.packages if p.language in languages), key=lambda p: (p.language, p.name))
    recipe = json.dumps([_VERSION, listed.seed, _MOST_PACKAGE_CHARS, list(map(asdict, wanted)), _digest(problems)])
    stored = folder / f"text-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.jsonl.gz"
    if stored.is_file():
        return _corpus(_read(stored), listed, stored)
    files: list[SourceFile] = []
    for done, package in enumerate(wanted):
        progress(f"Gathering training text: {package.name}", done, len(wanted))
        files += read_sources(fetch_package(package, folder / "packages"), package, max_chars=_MOST_PACKAGE_CHARS)
    progress("Dropping what stands twice", len(wanted), len(wanted))
    files = deduplicated(files, problems, seed=listed.seed)
    _write(stored, files)
    return _corpus(files, listed, stored)


def gather_recent(languages: Collection[CorpusLanguage], *, progress: ProgressSink) -> list[SourceFile]:
    """All files of packages that the default model cannot have read.

    Args:
        languages: Which languages to gather.
        progress: Is called for each package that is fetched and read.

    Raises:
        TrainingError: If a package cannot be had.
    """
    packages = [package for package in read_package_list(RECENT_PACKAGES).packages if package.language in languages]
    files = []
    for done, package in enumerate(packages):
        progress(f"Gathering projects: {package.name}", done, len(packages))
        archive = fetch_package(package, config.cache_dir() / "corpus" / "packages")
        files += read_sources(archive, package, max_chars=_WHOLE)
    return files


def unpack(package: Package, folder: Path) -> None:
    """Writes the source files of a package to a folder, fetching it where it is not in the cache yet.

    Raises:
        TrainingError: If the package cannot be had, or the folder cannot be written.
    """
    archive = fetch_package(package, config.cache_dir() / "corpus" / "packages")
    try:
        for file in read_sources(archive, package, max_chars=_WHOLE):
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text, encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"The package {package.name} could not be unpacked to {folder}.") from error


def deduplicated(files: Sequence[SourceFile], problems: Sequence[Set[int]], *, seed: int) -> list[SourceFile]:
    """Drops files of a benchmark, and of two that resemble each other the one in the split of less precedence."""
    ordered = sorted(files, key=lambda file: _PRECEDENCE.index(split_of(file.package, seed)))
    clean = [file for file in ordered if not contains_any(file.text, problems)]
    novel = first_occurrences(file.text for file in clean)
    return [file for file, is_new in zip(clean, novel, strict=True) if is_new]


def in_turns(files: Sequence[SourceFile]) -> list[SourceFile]:
    """The same files, one of each package in turn, so that any beginning of the list is a mixture."""
    count: dict[str, int] = {}
    turns: list[tuple[int, str, SourceFile]] = []
    for file in files:
        count[file.package] = count.get(file.package, -1) + 1
        turns.append((count[file.package], file.package, file))
    return [file for _, _, file in sorted(turns, key=lambda turn: turn[:2])]


def _corpus(files: Sequence[SourceFile], package_list: PackageList, path: Path) -> Corpus:
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.text.encode()).digest())
    by_split: dict[Split, tuple[SourceFile, ...]] = {
        split: tuple(in_turns([file for file in files if split_of(file.package, package_list.seed) == split]))
        for split in _PRECEDENCE
    }
    return Corpus(sha256=digest.hexdigest(), files=by_split, path=path)


def _problems(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        return [row["prompt"] + row["canonical_solution"] for row in rows]
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"The benchmark {path} cannot be read; it should be JSON lines with `prompt` and `canonical_solution`."
        ) from error


def _digest(problems: Sequence[Set[int]]) -> str:
    return hashlib.sha256(json.dumps([sorted(problem) for problem in problems]).encode()).hexdigest()


def _read(path: Path) -> list[SourceFile]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            return [SourceFile(**json.loads(line)) for line in lines]
    except (OSError, EOFError, ValueError, TypeError) as error:
        raise TrainingError(f"The training text is damaged: delete {path} and try again.") from error


def _write(path: Path, files: Sequence[SourceFile]) -> None:
    try:
        with written_whole(path) as partial, gzip.open(partial, "wt", encoding="utf-8", compresslevel=4) as lines:
            lines.writelines(json.dumps(asdict(file)) + "\n" for file in files)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise TrainingError(f"The training text could not be stored in {path.parent}: {reason}.") from error
