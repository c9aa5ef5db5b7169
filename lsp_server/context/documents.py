"""`cursor_context`: what the engine may see of an open document, around one position.

Positions come in the client's units (UTF-16) and leave in them; text leaves with LF line ends. It knows no
settings and no model, and it never reads a file: the text is what the editor sent.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls import uris

from lsp_server.pygls_internals import DocumentStore, EditedDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pygls.workspace import PositionCodec, TextDocument

    from engine.types import Snippet

# Characters: far more than the context of any model we run fits into, for what a place lies in, a comment or a string,
# only the text from its beginning tells, and most files are shorter.
WINDOW_BEFORE = 131_072
WINDOW_AFTER = 8_192
# The start of the window moves in steps, so that the prefix stays the same while a person types: the engine keeps
# the KV cache of an unchanged beginning.
WINDOW_STEP = 32_768
_STRETCH = 65_536  # characters whose lines are counted at once


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorContext:
    """The surroundings of one cursor.

    Attributes:
        language_id: The editor's language identifier; "" when unknown.
        prefix: Text before the cursor, with LF line ends; at most WINDOW_BEFORE + WINDOW_STEP characters.
        suffix: Text after the cursor; at most WINDOW_AFTER characters.
        line_end: The document's line end, LF or CR LF, as characters.
        insert_range: What the suggestion replaces, in the client's units, inside the document.
        selected_text: Text of the suggest widget's selected entry, which the suggestion must begin with;
            `prefix` already ends with it. "" without one.
        path: As the model may be shown it; "" when unknown.
        snippets: Pieces of other documents, the most useful first.
    """

    language_id: str
    prefix: str
    suffix: str
    line_end: str
    insert_range: types.Range
    selected_text: str
    path: str = ""
    snippets: tuple[Snippet, ...] = ()


def cursor_context(
    document: TextDocument,
    position: types.Position,
    selected: types.SelectedCompletionInfo | None = None,
) -> CursorContext:
    """Cuts a bounded window of text around a position.

    Args:
        document: An open document.
        position: The cursor; outside the document it is moved to the nearest place inside.
        selected: The entry selected in the suggest widget, if that is open.
    """
    text, codec = document.source, document.position_codec
    replaced = selected.range if selected else types.Range(start=position, end=position)
    start, start_position = locate(text, replaced.start, codec)
    is_place = replaced.end == replaced.start
    end, end_position = (start, start_position) if is_place else locate(text, replaced.end, codec)
    selected_text = selected.text if selected else ""
    before = text[_window_start(text, start) : start]
    after = text[max(start, end) : max(start, end) + WINDOW_AFTER]
    return CursorContext(
        language_id=document.language_id or "",
        prefix=normalised(before + selected_text),
        suffix=normalised(after.removesuffix("\r")),  # the window may have cut "\r\n" in two
        line_end="\r\n" if "\r\n" in after or "\r\n" in before else "\n",
        insert_range=types.Range(start=start_position, end=end_position),
        selected_text=selected_text,
    )


def typed_at(document: TextDocument, position: types.Position) -> Callable[[], str | None]:
    """Remembers a document's text; what it returns says what has been typed at the position since then.

    None stands for any other change of the document.
    """
    before = document.source
    offset, _ = locate(before, position, document.position_codec)

    def typed() -> str | None:
        now = document.source
        end = offset + len(now) - len(before)
        is_typed = end >= offset and now[end:] == before[offset:] and now[:offset] == before[:offset]
        return normalised(now[offset:end]) if is_typed else None

    return typed


def locate(text: str, position: types.Position, codec: PositionCodec) -> tuple[int, types.Position]:
    """Finds a position in a text: its offset in characters, and the same place in client units.

    A line beyond the last is the end of the text, a column beyond a line's end is that end, and one inside a
    surrogate pair is the end of the pair.
    """
    line_start = _line_start(text, position.line)
    if line_start is None:
        return _end(text, codec)
    line_end = text.find("\n", line_start)
    line = text[line_start : len(text) if line_end < 0 else line_end].partition("\r")[0]
    column = _column(line, position.character, codec)
    character = column if line[:column].isascii() else codec.client_num_units(line[:column])
    return line_start + column, types.Position(line=position.line, character=character)


def _line_start(text: str, n_line: int) -> int | None:
    r"""Where a line begins, counted from 0; None where there are not so many.

    Of "\n", "\r\n" and "\r", which are LSP's line ends, the last alone is rare: without it, stretches of the text are
    counted in C and none is copied, since a key must be cheap in a file of many megabytes, too.
    """
    if text.count("\r") != text.count("\r\n"):
        lines = io.StringIO(text, newline="")  # knows the same line ends; str.splitlines knows others
        starts = list(accumulate((len(line) for line in islice(lines, n_line)), initial=0))
        has_line = len(starts) == n_line + 1 and (starts[-1] < len(text) or not text or text[-1] in "\r\n")
        return starts[-1] if has_line else None
    at, n_lines = 0, n_line
    while n_lines:
        n_here = text.count("\n", at, at + _STRETCH)
        if n_here < n_lines and at + _STRETCH < len(text):
            at, n_lines = at + _STRETCH, n_lines - n_here
            continue
        for _ in range(n_lines):
            at = text.find("\n", at) + 1
            if not at:
                return None
        break
    return at


def normalised(text: str) -> str:
    """Any text of an editor as the engine takes it: with LF line ends, and without half characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which no tokenizer takes
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def path_of(uri: str) -> Path | None:
    """The file that a document's name stands for, be it on a disk, in a notebook or not saved yet; None without one."""
    parts = uris.urlparse(uri)
    if not parts[2].startswith("/"):
        return None
    path = uris.to_fs_path(uris.urlunparse(("file", *parts[1:3], "", "", "")))
    return Path(path) if path else None


class OpenDocument(EditedDocument):
    """A document whose edits are applied at the places LSP means.

    pygls splits lines as `str.splitlines` does: a form feed or U+2028 in a file would put every later edit on the
    wrong line, and the copy here would drift away from what the user sees.
    """

    @property
    def lines(self) -> Sequence[str]:
        """The lines with their ends."""
        return tuple(io.StringIO(self.source, newline=""))

    def apply_change(self, change: types.TextDocumentContentChangeEvent) -> None:
        """Replaces a range, or the whole text."""
        if isinstance(change, types.TextDocumentContentChangePartial):
            text = self.source
            start, _ = locate(text, change.range.start, self.position_codec)
            end, _ = locate(text, change.range.end, self.position_codec)
            self.set_text(text[:start] + change.text + text[end:])
        else:
            self.set_text(change.text)


class OpenDocuments(DocumentStore):
    """The documents the client has open."""

    document_class = OpenDocument

    def find(self, uri: str) -> TextDocument | None:
        """The open document of that name; None when it is not open."""
        document = self.get_text_document(uri)
        return document if document.version is not None else None

    @property
    def folder_paths(self) -> list[Path]:
        """The folders of the workspace, or its root where the client knows no folders."""
        names = list(self.folders) or [self.root_uri]
        return [path for path in map(path_of, filter(None, names)) if path is not None]

    def shown_path(self, uri: str) -> str:
        """A document's path inside the workspace, its bare name elsewhere; "" where it has none.

        Where on the disk the workspace lies, and whose it is, a model need not know.
        """
        path = path_of(uri)
        if path is None:
            return ""
        folder = next((folder for folder in self.folder_paths if path.is_relative_to(folder)), path.parent)
        return path.relative_to(folder).as_posix()


def _end(text: str, codec: PositionCodec) -> tuple[int, types.Position]:
    tail = text[max(text.rfind("\n"), text.rfind("\r")) + 1 :]
    n_lines = text.count("\n") + text.count("\r") - text.count("\r\n")
    return len(text), types.Position(line=n_lines, character=codec.client_num_units(tail))


def _column(line: str, character: int, codec: PositionCodec) -> int:
    """Client units to characters."""
    head = line[:character]  # a character is at least one unit
    if head.isascii():
        return len(head)
    units = 0
    for column, char in enumerate(head):
        if units >= character:
            return column
        units += codec.client_num_units(char)
    return len(head)


def window_before(text: str) -> str:
    """The end of a text, as much of it as is read before a cursor; it begins at the same place while a person types."""
    return text[_window_start(text, len(text)) :]


def _window_start(text: str, offset: int) -> int:
    if offset <= WINDOW_BEFORE + WINDOW_STEP:
        return 0
    start = (offset - WINDOW_BEFORE) // WINDOW_STEP * WINDOW_STEP
    next_line = text.find("\n", start, offset) + 1
    return next_line or start
