"""`Surroundings`: what the engine may see around a cursor: the document and, where so set, pieces of others.

It keeps `Neighbours` up to date with what the client has open. It knows no model and no engine.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lsp_server.context.documents import WINDOW_BEFORE, cursor_context, normalised, window_before
from lsp_server.context.neighbours import MAX_DOCUMENT_CHARS, Neighbours
from lsp_server.context.notebooks import text_above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lsprotocol import types

    from lsp_server.context.documents import CursorContext, OpenDocument, OpenDocuments

_NAMELESS = "untitled"
_UNSAVED = "untitled"


class Surroundings:
    """The open documents, and those that were open in this session.

    Args:
        why_private: Why a document of that name must not be read; "" where it may be.
        is_undecided: Whether that is not known yet; until then the document is not read.
        on_forgotten: Is called when something that was read has become private, and with it what was made of it.
    """

    def __init__(
        self,
        why_private: Callable[[str], str],
        *,
        is_undecided: Callable[[str], bool],
        on_forgotten: Callable[[], None],
    ) -> None:
        self._neighbours = Neighbours(why_private, is_undecided, on_forgotten)
        self._documents: OpenDocuments | None = None
        self._sees_others = False

    def use(self, documents: OpenDocuments, *, other_files: bool) -> None:
        """Takes over what is open and whether pieces of it may be read, and forgets what has become private."""
        self._documents = documents
        self._neighbours.forget_private()
        if other_files != self._sees_others:
            self._sees_others = other_files
            self._neighbours.clear()
            for document in documents.text_documents.values():
                self.visit(document.uri)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the documents that may be read from."""
        return self._neighbours.names

    def forget(self, uris: Iterable[str]) -> None:
        """Drops files that have another name now, or are gone, and what a folder of that name held."""
        for uri in uris:
            self._neighbours.forget(uri)

    def close(self, uri: str) -> None:
        """Drops a document that was never saved: under which name it lives on, if it does, is not known."""
        if uri.partition(":")[0] == _UNSAVED:
            self._neighbours.forget(uri)

    def visit(self, uri: str, line: int | None = None) -> None:
        """Remembers where the person is; `line` counts from 0, and is None where the place is no new one."""
        if not self._sees_others or self._documents is None:
            return
        document = self._documents.find(uri)
        if document is not None and len(document.text) > MAX_DOCUMENT_CHARS:  # not to be put together at every key
            self._neighbours.forget(uri)
        elif document is not None:
            path = self._documents.shown_path(uri) or _NAMELESS
            self._neighbours.visit(uri, path=path, text=document.source, line=line)

    def look(
        self, document: OpenDocument, position: types.Position, selected: types.SelectedCompletionInfo | None
    ) -> CursorContext:
        """What may be seen at a place."""
        self.visit(document.uri, position.line)
        context = cursor_context(document, position, selected)
        above = text_above(self._documents, document, WINDOW_BEFORE) if self._documents is not None else ""
        return replace(
            context,
            prefix=window_before(normalised(above) + context.prefix) if above else context.prefix,
            path=self._documents.shown_path(document.uri) if self._documents is not None else "",
            repository=self._documents.shown_repository(document.uri) if self._documents is not None else "",
            snippets=self._neighbours.pieces_for(document.uri, position.line, context.prefix, context.suffix),
        )
