"""`cursor_context`: what the engine may see of an open document, around one position.

Positions come in the client's units (UTF-16) and leave in them; text leaves with LF line ends. It knows no
settings and no model, and it never reads a file: the text is what the editor sent.
"""

from __future__ import annotations

import io
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls import uris

from engine.prefix import common_prefix
from lsp_server.context.chunks import ChunkedText
from lsp_server.context.positions import LineStarts
from lsp_server.pygls_internals import DocumentStore, EditedDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engine.types import ProjectDocument, Snippet

# Characters: far more than the context of any model we run fits into, for what a place lies in, a comment or a string,
# only the text from its beginning tells, and most files are shorter.
WINDOW_BEFORE = 131_072
WINDOW_AFTER = 8_192
# The start of the window moves in steps, so that the prefix stays the same while a person types: the engine keeps
# the KV cache of an unchanged beginning.
WINDOW_STEP = 32_768
_KEPT_EDITS = 256
_MOST_UNITS = 4  # of a character, in any encoding
NOWHERE = Path("/\0")  # no system has a file of that name
_Edit = tuple[int, int, int]  # start, end of what was replaced, and how many characters stand there now
_UNKNOWN: _Edit = (-1, -1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorContext:
    """The surroundings of one cursor.

    Attributes:
        language_id: The editor's language identifier; "" when unknown.
        prefix: Text before the cursor, with LF line ends; at most WINDOW_BEFORE + WINDOW_STEP characters.
        suffix: Text after the cursor; at most WINDOW_AFTER characters.
        insert_range: What the suggestion replaces, in the client's units, inside the document.
        selected_text: Text of the suggest widget's selected entry, which the suggestion must begin with;
            `prefix` already ends with it. "" without one.
        path: As the model may be shown it; "" when unknown.
        repository: The name of the workspace folder that it lies in; "" outside of all.
        snippets: Pieces of other documents, the most useful first.
        in_project: Where the document belongs; None where projects have no say.
    """

    language_id: str
    prefix: str
    suffix: str
    insert_range: types.Range
    selected_text: str
    path: str = ""
    repository: str = ""
    snippets: tuple[Snippet, ...] = ()
    in_project: ProjectDocument | None = None


def cursor_context(
    document: OpenDocument,
    position: types.Position,
    selected: types.SelectedCompletionInfo | None = None,
) -> CursorContext:
    """Cuts a bounded window of text around a position.

    Args:
        document: An open document.
        position: The cursor; outside the document it is moved to the nearest place inside.
        selected: The entry selected in the suggest widget, if that is open.
    """
    text = document.text
    replaced = selected.range if selected else types.Range(start=position, end=position)
    start, start_position = document.locate(replaced.start)
    is_place = replaced.end == replaced.start
    end, end_position = (start, start_position) if is_place else document.locate(replaced.end)
    selected_text = selected.text if selected else ""
    before = _from_line_start(text.cut(_window_start(start), start), is_cut=_window_start(start) > 0)
    after = text.cut(max(start, end), max(start, end) + WINDOW_AFTER)
    return CursorContext(
        language_id=document.language_id or "",
        prefix=normalised(before + selected_text),
        suffix=normalised(after.removesuffix("\r")),  # the window may have cut "\r\n" in two
        insert_range=types.Range(start=start_position, end=end_position),
        selected_text=selected_text,
    )


def typed_at(document: OpenDocument, position: types.Position) -> Callable[[], str | None]:
    """Remembers a place; what it returns says what has been typed there since then.

    None stands for any other change of the document.
    """
    offset, _ = document.locate(position)
    n_edits = document.n_edits

    def typed() -> str | None:
        stop = offset
        for start, end, inserted in document.edits_since(n_edits):
            if not offset <= start <= end <= stop:
                return None
            stop += inserted - (end - start)
        return normalised(document.text.cut(offset, stop))

    return typed


def normalised(text: str) -> str:
    """Any text of an editor as the engine takes it: with LF line ends, and without half characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which no tokenizer takes
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


@lru_cache(maxsize=256)  # of a few documents and folders, at every key
def path_of(uri: str) -> Path | None:
    """The file that a document's name stands for, be it on a disk, in a notebook or not saved yet; None without one.

    A name that cannot be read (a host that begins with "[", half a character) stands for `NOWHERE`.
    """
    try:
        parts = uris.urlparse(uri)
        if not parts[2].startswith("/"):
            return None
        path = uris.to_fs_path(uris.urlunparse(("file", *parts[1:3], "", "", "")))
    except ValueError:
        return NOWHERE
    return Path(path) if path else None


class OpenDocument(EditedDocument):
    """A document whose edits are applied at the places LSP means.

    pygls splits lines as `str.splitlines` does: a form feed or U+2028 in a file would put every later edit on the
    wrong line, and the copy here would drift away from what the user sees.
    """

    n_edits = 0

    @property
    def source(self) -> str:
        """All of the text; it costs time by its length."""
        return self.text.whole

    @property
    def lines(self) -> Sequence[str]:
        """The lines with their ends."""
        return tuple(io.StringIO(self.source, newline=""))

    def apply_change(self, change: types.TextDocumentContentChangeEvent) -> None:
        """Replaces a range, or the whole text."""
        if isinstance(change, types.TextDocumentContentChangePartial):
            (start, _), (end, _) = self.locate(change.range.start), self.locate(change.range.end)
            end, inserted = max(start, end), len(change.text)
            self.text.replace(start, end, change.text)
            near = self.text.cut(max(0, start - 1), start + inserted + 2)
            self._line_starts.replace(start, end, inserted, near)
            self._edits.append((start, end, inserted))
        else:
            self._edits.append(_whole(self.source, change.text))
            self.text = ChunkedText(change.text, self.position_codec)
            self.__dict__.pop("_line_starts", None)
        self.n_edits += 1

    def edits_since(self, n_edits: int) -> Iterator[_Edit]:
        """The edits after the first so many; one that says nothing in particular where they are no longer known."""
        n_new = self.n_edits - n_edits
        if n_new > len(self._edits):
            return iter([_UNKNOWN])
        return islice(self._edits, len(self._edits) - n_new, None)

    def locate(self, position: types.Position) -> tuple[int, types.Position]:
        """Finds a position: its offset in characters, and the same place in client units.

        A line beyond the last is the end of the text, a column beyond a line's end is that end, and one inside a
        surrogate pair is the end of the pair.
        """
        starts = self._line_starts
        line, column = position.line, position.character
        if line >= len(starts):
            line, column = len(starts) - 1, _MOST_UNITS * len(self.text)
        start = starts[line]
        stop = starts[line + 1] if line + 1 < len(starts) else len(self.text)
        end = self.text.cut(max(start, stop - len("\r\n")), stop)
        offset, n_units = self.text.column(start, stop - len(end) + len(end.rstrip("\r\n")), column)
        return offset, types.Position(line=line, character=n_units)

    @cached_property
    def text(self) -> ChunkedText:
        """The text, to be cut."""
        text = ChunkedText(super().source, self.position_codec)
        self.let_go()  # once is enough
        return text

    @cached_property
    def _line_starts(self) -> LineStarts:
        return LineStarts(self.source)

    @cached_property
    def _edits(self) -> deque[_Edit]:
        return deque(maxlen=_KEPT_EDITS)


class OpenDocuments(DocumentStore):
    """The documents the client has open."""

    document_class = OpenDocument

    def find(self, uri: str) -> OpenDocument | None:
        """The open document of that name; None when it is not open."""
        document = self.get_text_document(uri)
        assert isinstance(document, OpenDocument)
        return document if document.version is not None else None

    @property
    def folder_paths(self) -> list[Path]:
        """The folders of the workspace, or its root where the client knows no folders."""
        names = list(self.folders) or [self.root_uri]
        return [path for path in map(path_of, filter(None, names)) if path not in {None, NOWHERE}]

    def shown_path(self, uri: str) -> str:
        """A document's path inside the workspace, its bare name elsewhere; "" where it has none.

        Where on the disk the workspace lies, and whose it is, a model need not know.
        """
        path = path_of(uri)
        if path is None or path == NOWHERE:
            return ""
        return path.relative_to(self._folder_of(path) or path.parent).as_posix()

    def shown_repository(self, uri: str) -> str:
        """The name of the workspace folder that a document lies in; "" outside of all."""
        folder = self.folder_of(uri)
        return "" if folder is None else folder.name

    def folder_of(self, uri: str) -> Path | None:
        """The workspace folder that a document lies in; None outside of all."""
        path = path_of(uri)
        return None if path is None else self._folder_of(path)

    def _folder_of(self, path: Path) -> Path | None:
        return next((folder for folder in self.folder_paths if path.is_relative_to(folder)), None)


def _whole(before: str, after: str) -> _Edit:
    """What an editor that sends the whole text has changed."""
    start = common_prefix(before, after)
    rest = range(min(len(before), len(after)) - start + 1)
    kept = bisect_left(rest, 1, key=lambda n: int(before[len(before) - n :] != after[len(after) - n :])) - 1
    return start, len(before) - kept, len(after) - kept - start


def window_before(text: str) -> str:
    """The end of a text, as much of it as is read before a cursor; it begins at the same place while a person types."""
    start = _window_start(len(text))
    return _from_line_start(text[start:], is_cut=start > 0)


def _window_start(offset: int) -> int:
    return 0 if offset <= WINDOW_BEFORE + WINDOW_STEP else (offset - WINDOW_BEFORE) // WINDOW_STEP * WINDOW_STEP


def _from_line_start(window: str, *, is_cut: bool) -> str:
    """A window without the end of a line that was cut; all of it where it holds no other line."""
    return window[window.find("\n") + 1 :] if is_cut else window
