"""`ProjectKeeper`: which folders and languages are read for the engine's projects, and when.

It wires `lsp_server.context.project_reader` to settings, documents and engine. It reads no file itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from functools import partial
from typing import TYPE_CHECKING

from engine.completion.languages import LANGUAGES_OF_FILES, language_of, with_kindred
from engine.types import ProjectDocument
from lsp_server.context.documents import normalised, path_of
from lsp_server.context.project_reader import ProjectReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from pygls.workspace import TextDocument

    from lsp_server.context.documents import OpenDocuments
    from lsp_server.context.project_reader import ProjectSink
    from lsp_server.settings import Settings

logger = logging.getLogger(__name__)


class ProjectKeeper:
    """Keeps the engine's projects as the workspace is. Belongs to the event loop.

    Args:
        on_reading: Called with what is being read, as one sentence, and with "" when it has been.
        on_spent: Called now and then while `cpu_s` grows.
    """

    def __init__(self, on_reading: Callable[[str], None], on_spent: Callable[[], None]) -> None:
        self._on_reading = on_reading
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread: int | None = None
        self._reader = ProjectReader(self._note, lambda: self._in_loop(on_spent))
        self._sinks: Callable[[str], ProjectSink] | None = None
        self._documents: OpenDocuments | None = None
        self._private_files: tuple[str, ...] = ()
        self._is_on = False
        self._edited: set[str] = set()  # documents, since their text was last handed on
        self._read: tuple[frozenset[str], tuple[Path, ...], tuple[str, ...]] | None = (
            None  # what has been read, to know when other things are wanted
        )

    @property
    def cpu_s(self) -> Mapping[Path, float]:
        """CPU time that reading each folder has taken since the server started."""
        return self._reader.cpu_s

    @property
    def index(self) -> str:
        """What has been read, as a sentence that names no folder; "" before anything was."""
        return self._reader.index

    def use(self, settings: Settings, documents: OpenDocuments) -> None:
        """Takes over settings and the workspace's folders and documents."""
        self._documents, self._private_files = documents, tuple(settings.private_files)
        self._is_on = settings.enable and settings.project_text
        self._read_if_needed()

    def use_engine(self, sinks: Callable[[str], ProjectSink]) -> None:
        """Takes over a new engine, whose projects are empty."""
        self._loop, self._loop_thread = asyncio.get_running_loop(), threading.get_ident()
        self._sinks, self._read = sinks, None
        self._read_if_needed()

    def lose_engine(self) -> None:
        """There is no engine any more."""
        self._sinks, self._read = None, None
        self._reader.stop()

    def note_document(self, uri: str) -> None:
        """A document was opened, or says something else now."""
        self._read_if_needed()
        path = path_of(uri)
        document = self._documents.find(uri) if self._documents is not None else None
        if path is not None and document is not None:
            self._reader.update(path, normalised(document.source))

    def note_edit(self, uri: str) -> None:
        """Somebody types in a document; its new text counts as soon as another one is completed."""
        self._edited.add(uri)

    def note_files(self, uris: Iterable[str]) -> None:
        """Files have changed on the disk, have come or are gone."""
        is_open = self._documents.text_documents if self._documents is not None else {}
        for uri in uris:
            path = path_of(uri)
            if path is not None and path.name == ".gitignore":
                self._read = None  # other files may be private now
            elif path is not None and uri not in is_open:
                self._reader.update(path)
        self._read_if_needed()

    def document_of(self, uri: str) -> ProjectDocument | None:
        """Where a document belongs; None where projects have no say, or may say what is to be forgotten."""
        if not self._is_on or self._reader.is_behind:
            return None
        for other in self._edited - {uri}:
            self._edited.discard(other)
            self.note_document(other)
        path = path_of(uri)
        folder = self._reader.project_of(path) if path is not None else self._reader.only_folder
        return ProjectDocument(project=str(folder or ""), file=str(path or uri))

    def close(self) -> None:
        """Ends the reader."""
        self._reader.close()

    def _note(self, reading: str, read: str) -> None:
        """In any thread; at once in the loop's, so that nothing which is asked next is answered before."""
        if read:
            logger.info("%s", read)
        if self._loop_thread == threading.get_ident():
            self._on_reading(reading)  # and once more, behind what the reader has said already
        self._in_loop(partial(self._on_reading, reading))

    def _in_loop(self, call: Callable[[], None]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(call)

    def _read_if_needed(self) -> None:
        documents = self._documents
        if not self._is_on or documents is None or self._sinks is None:
            if self._read is not None:
                self._read = None
                self._reader.stop()
            return
        paths = {uri: path for uri in documents.text_documents if (path := path_of(uri)) is not None}
        named = {_language(document, paths.get(uri)) for uri, document in documents.text_documents.items()}
        languages = with_kindred(named - {""})
        known: frozenset[str] = self._read[0] if self._read is not None else frozenset()
        wanted = (languages | known, tuple(documents.folder_paths), self._private_files)
        if wanted == self._read or not languages:
            return
        before, self._read = self._read, wanted
        texts = {path: normalised(documents.text_documents[uri].source) for uri, path in paths.items()}
        if before is not None and before[1:] == wanted[1:]:
            self._reader.read_more(languages - known, texts)
            return
        self._edited.clear()
        self._reader.read(
            self._sinks, documents.folder_paths, wanted[0], private_files=self._private_files, texts=texts
        )


def _language(document: TextDocument, path: Path | None) -> str:
    """A document's, by its name, or where that tells none (a cell, a text without a file, a script) by the editor."""
    by_name = language_of(path) if path is not None else ""
    told = document.language_id or ""
    return by_name or (told if told in LANGUAGES_OF_FILES else "")
