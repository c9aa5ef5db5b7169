"""Stretches of real files to type: files that are named, or held-out ones. It knows neither person nor server."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.completion.languages import language_of
from engine.corpus.datasets import gather_corpus, unpack
from engine.corpus.packages import read_package_list
from engine.errors import ConfigError
from engine.files import read_source
from lsp_server.context.git_ignore import repository_root
from lsp_server.replay.replay import Stretch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.types import ProgressSink

_MIN_BEFORE_CHARS = 600
_BEFORE_SHARE = 0.3  # of a file stands there already when typing begins, if it is long enough


def stretches_of(
    paths: Sequence[Path] | None, *, n_files: int, chars: int, folder: Path, progress: ProgressSink
) -> list[Stretch]:
    """One stretch of each file that is long enough, opened in the folder that it comes from.

    Args:
        paths: The files; held-out ones where none are named.
        n_files: How many held-out files.
        chars: How many characters of each are typed, up to the end of a line.
        folder: An empty one, where the packages of held-out files are unpacked.
        progress: Is called while held-out files are gathered.

    Raises:
        ConfigError: If a file cannot be read as text, or none is long enough.
        TrainingError: If the held-out files cannot be had.
    """
    whole = [whole_file(path) for path in paths] if paths else _held_out(n_files, chars, folder, progress)
    stretches = [stretch for stretch in (cut(file, chars) for file in whole) if stretch is not None]
    if not stretches:
        raise ConfigError(f"None of the files is long enough to type {chars} characters of it.")
    return stretches


def cut(whole: Stretch, chars: int) -> Stretch | None:
    """Whole lines of a file, about as many characters as wanted, with the file around them; None of a short file."""
    text = whole.text.replace("\r\n", "\n")
    if (ends := _ends(text, chars)) is None:
        return None
    start, end = ends
    return replace(whole, before=text[:start], text=text[start:end], after=text[end:])


def _ends(text: str, chars: int) -> tuple[int, int] | None:
    """Between which characters of a file's text a stretch of it lies."""
    start = text.find("\n", max(_MIN_BEFORE_CHARS, int(_BEFORE_SHARE * len(text)))) + 1
    end = text.find("\n", start + chars)
    return None if start == 0 or end < 0 else (start, end)


def whole_file(path: Path, folder: Path | None = None) -> Stretch:
    """All of a file, as it would be opened in `folder`; None for its git repository, else its folder.

    Raises:
        ConfigError: It cannot be read, or is not UTF-8.
    """
    text, path = read_source(path), path.absolute()
    return Stretch(
        file=str(path),
        language_id=language_of(path),
        before="",
        text=text,
        after="",
        path=path,
        folder=folder or repository_root(path) or path.parent,
    )


def _held_out(n_files: int, chars: int, folder: Path, progress: ProgressSink) -> list[Stretch]:
    """Files of packages that no training has seen and that are long enough, the languages taking turns."""
    files = [file for file in gather_corpus(progress=progress).files["test"] if len(file.text) > 2 * _MIN_BEFORE_CHARS]
    random.Random(0).shuffle(files)  # noqa: S311 - nothing secret
    turns: dict[str, int] = {}
    order = []
    for file in files:
        if _ends(file.text, chars) is None:
            continue
        turns[file.language] = turns.get(file.language, 0) + 1
        order.append((turns[file.language], file.language, file))
    chosen = [file for _, _, file in sorted(order, key=lambda turn: turn[:2])[:n_files]]
    for package in read_package_list().packages:
        if package.name in {file.package for file in chosen}:
            progress(f"Unpacking {package.name}", 0, None)
            unpack(package, folder / package.name)
    return [
        Stretch(
            file=f"{file.package}/{file.path}",
            language_id=file.language,
            before="",
            text=file.text,
            after="",
            path=folder / file.package / file.path,
            folder=folder / file.package,
        )
        for file in chosen
    ]
