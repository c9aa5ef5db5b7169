"""Held-out text without a network: what is installed with Green Code, and no training has seen.

The packages are those that Green Code itself asks for, so every machine has them; `constraints.txt` pins their
versions. Knows no registry: `engine.corpus.datasets` gathers what must be fetched.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, distribution, requires
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from engine.corpus.datasets import in_turns
from engine.corpus.packages import read_package_list, split_of
from engine.corpus.source_text import source_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.corpus.source_text import SourceFile

_PRODUCT = "green-code"
_MAX_FILES = 40  # of one package, so that reading the largest takes no time


def installed_held_out() -> list[SourceFile]:
    """Python files of installed packages that are in no training text, packages taking turns.

    A package's files are chosen by the hash of their paths, so the choice is spread over it and the same everywhere.
    """
    listed = read_package_list()
    learned = {package.name for package in listed.packages if split_of(package.name, listed.seed) != "test"}
    return in_turns([file for name in sorted(_asked_for() - learned) for file in _files_of(name)])


def _asked_for() -> set[str]:
    """The packages that an installation of Green Code brings along by itself."""
    asked = map(Requirement, requires(_PRODUCT) or ())
    return {canonicalize_name(one.name) for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})}


def _files_of(name: str) -> Iterator[SourceFile]:
    try:
        recorded = distribution(name).files or ()
    except PackageNotFoundError:  # such as a runtime that this platform does not have
        return
    paths = [path for path in recorded if path.suffix == ".py"]
    n_found = 0
    for path in sorted(paths, key=lambda path: hashlib.sha256(path.as_posix().encode()).digest()):
        try:
            content = path.read_binary()
        except OSError:  # recorded, but removed since
            continue
        file = source_file(content, path=path.as_posix(), package=name, language="python")
        if file is not None:
            yield file
            n_found += 1
        if n_found == _MAX_FILES:
            return
