"""A cell is completed as if the cells above it stood in its file, through a real server around a fake engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lsprotocol import types

from lsp_server.context.documents import OpenDocuments
from lsp_server.context.notebooks import text_above
from tests.lsp_server.client import fake_server, initialize, started

if TYPE_CHECKING:
    from pathlib import Path

    from pygls.workspace import TextDocument

NOTEBOOK = "file:///project/report.ipynb"
CELL = "vscode-notebook-cell:/project/report.ipynb#"
MARKUP, CODE = types.NotebookCellKind.Markup, types.NotebookCellKind.Code


def cells(*texts: tuple[str, str]) -> list[types.TextDocumentItem]:
    """One for each (language, text), named in no order."""
    return [
        types.TextDocumentItem(uri=f"{CELL}{'qcmax'[number]}", language_id=language, version=1, text=text)
        for number, (language, text) in enumerate(texts)
    ]


def opened(*texts: tuple[str, str]) -> tuple[OpenDocuments, list[TextDocument]]:
    documents = OpenDocuments(None)
    items = cells(*texts)
    documents.put_notebook_document(
        types.DidOpenNotebookDocumentParams(
            notebook_document=types.NotebookDocument(
                uri=NOTEBOOK,
                notebook_type="jupyter-notebook",
                version=1,
                cells=[
                    types.NotebookCell(kind=MARKUP if item.language_id == "markdown" else CODE, document=item.uri)
                    for item in items
                ],
            ),
            cell_text_documents=items,
        )
    )
    return documents, [documents.get_text_document(item.uri) for item in items]


@pytest.mark.parametrize(
    ("texts", "above"),
    [
        ([("python", "import os"), ("python", "x")], "import os\n"),
        ([("python", "a = 1\n"), ("python", "b = 2\r\n\r\n"), ("python", "x")], "a = 1\nb = 2\n"),
        ([("python", ""), ("python", " \n"), ("python", "x")], ""),
        ([("markdown", "# Sales\n\nBy region."), ("python", "x")], "# # Sales\n#\n# By region.\n"),
        ([("markdown", "Totals"), ("sql", "select 1"), ("r", "y <- 1"), ("r", "x")], "# Totals\ny <- 1\n"),
        ([("sql", "select 1"), ("python", "x")], ""),
        ([("python", "%%bash\necho it's"), ("python", "%%time\na = 1"), ("python", "x")], "%%time\na = 1\n"),
        ([("markdown", "Text"), ("json", "x")], ""),
        ([("markdown", "Text"), ("scala", "val a = 1"), ("scala", "x")], "// Text\nval a = 1\n"),
        ([("python", "x"), ("python", "below = 1")], ""),
    ],
)
def test_what_the_cells_above_say(texts: list[tuple[str, str]], above: str) -> None:
    documents, opened_cells = opened(*texts)
    asked = next(cell for cell in opened_cells if cell.source == "x")

    assert text_above(documents, asked, 1000) == above


def test_a_cell_that_was_moved_is_where_it_is_now() -> None:
    documents, (first, second, third) = opened(("python", "a = 1"), ("python", "b = 2"), ("python", "x"))
    notebook = documents.get_notebook_document(notebook_uri=NOTEBOOK)
    assert notebook is not None
    notebook.cells = [notebook.cells[1], notebook.cells[2], notebook.cells[0]]

    assert text_above(documents, third, 1000) == "b = 2\n"
    assert text_above(documents, first, 1000) == "b = 2\nx\n"
    assert text_above(documents, second, 1000) == ""


def test_without_an_order_the_order_of_opening_counts() -> None:
    documents = OpenDocuments(None)
    for item in [*cells(("python", "a = 1"), ("python", "x"), ("python", "below")), *cells_of_another()]:
        documents.put_text_document(item)

    assert text_above(documents, documents.get_text_document(f"{CELL}c"), 1000) == "a = 1\n"


def cells_of_another() -> list[types.TextDocumentItem]:
    uri = "vscode-notebook-cell:/project/other.ipynb#q"
    return [types.TextDocumentItem(uri=uri, language_id="python", version=1, text="other")]


def test_a_file_has_no_cells() -> None:
    documents = OpenDocuments(None)
    for name in ("a.py#1", "a.py#2"):
        item = types.TextDocumentItem(uri=f"file:///{name}", language_id="python", version=1, text=name)
        documents.put_text_document(item)

    assert text_above(documents, documents.get_text_document("file:///a.py#2"), 1000) == ""


def test_far_cells_are_left_out_as_a_whole() -> None:
    documents, opened_cells = opened(("python", "a" * 50), ("python", "b" * 50), ("python", "x"))

    assert text_above(documents, opened_cells[2], 60) == "b" * 50 + "\n"


async def test_a_client_that_tells_of_notebooks_is_understood(tmp_path: Path) -> None:
    items = cells(("markdown", "Sales"), ("python", "block\n"), ("python", ""))  # the fake engine obeys "block"
    async with started(*fake_server(tmp_path / "ledger.sqlite3")) as client:
        sees_notebooks = types.NotebookDocumentClientCapabilities(types.NotebookDocumentSyncClientCapabilities())
        result = await initialize(client, None, types.ClientCapabilities(notebook_document=sees_notebooks))
        client.notebook_document_did_open(
            types.DidOpenNotebookDocumentParams(
                notebook_document=types.NotebookDocument(
                    uri=NOTEBOOK,
                    notebook_type="jupyter-notebook",
                    version=1,
                    cells=[types.NotebookCell(kind=CODE, document=item.uri) for item in items],
                ),
                cell_text_documents=items,
            )
        )
        await client.ready()

        item = await client.complete(0, 0, uri=items[2].uri, invoked=True)

    assert result.capabilities.notebook_document_sync is not None
    assert item is not None
    assert str(item.insert_text).startswith("first")
