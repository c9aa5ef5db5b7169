"""Packages as projects: a file of one is completed beside its other files, as in an editor. Knows no model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from engine.types import ProjectDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.corpus.source_text import SourceFile


class TakesFiles(Protocol):
    """A project's text, as far as it is given files."""

    def replace(self, name: str, text: str) -> bool:
        """Takes a file; False where there is no room for it."""
        ...

    def sort(self) -> None:
        """Makes them quick to ask."""
        ...


def document_in_package(file: SourceFile) -> ProjectDocument:
    """Where a file belongs; see `give_packages`."""
    return ProjectDocument(project=f"{file.package} {file.language}", file=file.path)


def give_packages(text_of: Callable[[str], TakesFiles], files: Iterable[SourceFile]) -> None:
    """Makes each package a project of its files, one for each language; as many of them as a project has room for.

    Args:
        text_of: Gives the text of a project by its name, to be filled.
        files: The files of the packages.
    """
    texts: dict[str, TakesFiles] = {}
    for file in files:
        document = document_in_package(file)
        texts[document.project] = text_of(document.project)
        texts[document.project].replace(document.file, file.text)
    for text in texts.values():
        text.sort()
