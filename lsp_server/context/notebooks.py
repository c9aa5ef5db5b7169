"""`text_above`: what the cells above one cell of a notebook say, as if all were one file.

Where the client tells the order of the cells, that is theirs; where it sends them as documents alone, it is the one in
which they were opened. Notes are read as comments; cells in another language are left out, and so are those that
Jupyter hands to another program, such as `%%bash`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lsprotocol import types

from engine.completion.languages import comment_mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pygls.workspace import TextDocument

    from lsp_server.context.documents import OpenDocuments

CELL_SCHEME = "vscode-notebook-cell"
NOTES = frozenset({"markdown", "md"})
_OF_ANOTHER_PROGRAM = re.compile(r"\s*%%(?!(?:time|timeit|capture|prun|debug|python3?|py)\b)\w")


def text_above(documents: OpenDocuments, cell: TextDocument, max_chars: int) -> str:
    """The text of the cells above, the nearest `max_chars` characters of it, ending with a line end; "" without any.

    Args:
        documents: The open documents.
        cell: The cell; a document that is none has nothing above it.
        max_chars: What is further up is left out, by whole cells.
    """
    language_id = cell.language_id or ""
    texts: list[str] = []
    room = max_chars
    for above in reversed([*_cells_above(documents, cell)]):
        text = _as_code(above, language_id)
        room -= len(text)
        if room < 0:
            break
        texts.append(text)
    return "".join(reversed(texts))


def notebook_of(uri: str) -> str:
    """What the names of a notebook's cells have in common; for any other document its name."""
    return uri.partition("#")[0]


def _cells_above(documents: OpenDocuments, cell: TextDocument) -> Iterator[TextDocument]:
    notebook = documents.get_notebook_document(cell_uri=cell.uri)
    if notebook is not None:
        uris = [each.document for each in notebook.cells]
    elif cell.uri.startswith(f"{CELL_SCHEME}:"):
        name = notebook_of(cell.uri)
        uris = [uri for uri in documents.text_documents if notebook_of(uri) == name]
    else:
        return
    if cell.uri in uris:
        for uri in uris[: uris.index(cell.uri)]:
            if (document := documents.find(uri)) is not None:
                yield document


def _as_code(cell: TextDocument, language_id: str) -> str:
    text = cell.source.rstrip("\r\n")
    if not text.strip() or _OF_ANOTHER_PROGRAM.match(text):
        return ""
    if cell.language_id == language_id:
        return text + "\n"
    mark = comment_mark(language_id)
    if mark is None or cell.language_id not in NOTES:
        return ""
    return "".join(f"{mark}{line}".rstrip() + "\n" for line in text.splitlines())


SYNC = types.NotebookDocumentSyncOptions(
    notebook_selector=[types.NotebookDocumentFilterWithNotebook(notebook="*")], save=False
)
"""Every cell of every notebook."""
