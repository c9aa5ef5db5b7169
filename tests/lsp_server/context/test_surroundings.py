"""What reaches the engine of other documents, through a real server process around a fake engine."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lsprotocol import types

from lsp_server.context.neighbours import MAX_DOCUMENTS
from tests.lsp_server.client import URI, Client, fake_server, initialize, started

pytestmark = pytest.mark.timeout(60)

SHOP = "file:///project/shop.py"
SHOP_TEXT = "def total_price(basket, discount):\r\n    return sum(basket) - discount\r\n"
TEXT = "def print_total(basket, discount):\n    price = total_price(basket)\n    context"
PIECE = "# shop.py\n# def total_price(basket, discount):\n#     return sum(basket) - discount\n\n"
OTHERS: dict[str, object] = {"otherFiles": True}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """Has one document open and types in another one that is like it."""
    async with started(*fake_server(tmp_path / "ledger.sqlite3")) as client:
        await initialize(client)
        await client.ready()
        client.open(SHOP_TEXT, uri=SHOP)
        client.open(TEXT)
        yield client


async def read_first(client: Client, uri: str = URI) -> str:
    """What the engine would read before the document; asked by hand, which is always computed."""
    item = await client.complete(2, 11, uri=uri, invoked=True)
    if item is None:
        return ""
    assert isinstance(item.insert_text, str)
    return item.insert_text


async def test_other_documents_are_read_only_while_the_setting_says_so(client: Client) -> None:
    assert await read_first(client) == ""
    client.change_settings(OTHERS)
    assert await read_first(client) == PIECE
    client.change_settings({})
    assert await read_first(client) == ""


async def test_a_document_opened_later_and_closed_again_is_read_as_last_edited(client: Client) -> None:
    client.change_settings({**OTHERS, "privateFiles": ["shop.py"]})
    till = SHOP.replace("shop", "till")
    client.open(SHOP_TEXT, uri=till)
    client.type(0, 0, "VAT = 7\n", uri=till)
    client.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(till)))

    assert await read_first(client) == PIECE.replace("shop.py\n", "till.py\n# VAT = 7\n")


async def test_what_is_like_a_document_is_read_though_that_becomes_private_in_the_same_moment(client: Client) -> None:
    kiosk, till = SHOP.replace("shop", "kiosk"), SHOP.replace("shop", "till")
    client.open(SHOP_TEXT, uri=kiosk)
    client.change_settings({**OTHERS, "privateFiles": ["kiosk.py", "shop.py"]})
    client.open(SHOP_TEXT, uri=till)

    assert await read_first(client) == PIECE.replace("shop.py", "till.py")


async def test_a_document_that_has_become_private_is_read_no_more(client: Client) -> None:
    client.change_settings(OTHERS)
    assert await read_first(client) == PIECE

    client.change_settings({**OTHERS, "privateFiles": ["shop.py"]})
    assert await read_first(client) == ""


async def test_a_file_that_git_has_come_to_ignore_is_read_no_more(client: Client, tmp_path: Path) -> None:
    client.change_settings(OTHERS)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    client.open(SHOP_TEXT, uri=(tmp_path / "till.py").as_uri())
    assert "till.py" in await read_first(client)

    (tmp_path / ".gitignore").write_text("till.py\n")
    assert "till.py" not in await read_first(client)


async def test_of_many_documents_those_that_were_saved_last_are_remembered(client: Client) -> None:
    client.change_settings(OTHERS)
    assert await read_first(client) == PIECE
    for n in range(MAX_DOCUMENTS):
        if n == MAX_DOCUMENTS - 2:
            client.text_document_did_save(types.DidSaveTextDocumentParams(types.TextDocumentIdentifier(SHOP)))
        client.open("", uri=f"file:///project/{n}.py")

    client.open(TEXT, uri=URI.replace("a.py", "b.py"))
    assert await read_first(client, URI.replace("a.py", "b.py")) == PIECE


async def test_the_path_is_read_where_so_set(client: Client) -> None:
    client.change_settings({**OTHERS, "filePath": True})

    assert await read_first(client) == PIECE + "# a.py\n"


NOTES = "API_TOKEN = 'tok_live_1'\nAPI_URL = 'https://pay.invalid'\nAPI_USER = 'shop'\n"


@pytest.mark.parametrize(
    "how", ["saved under a private name", "renamed by the editor", "renamed elsewhere", "renamed and edited", "deleted"]
)
async def test_what_was_seen_under_another_name_is_read_no_more(client: Client, how: str) -> None:
    client.change_settings(OTHERS)
    first = "untitled:Untitled-1" if how.startswith("saved") else "file:///project/notes.py"
    client.open(NOTES, uri=first)
    client.open(NOTES + "# context", uri="file:///project/pay.py")
    assert "tok_live_1" in (await offered(client, "file:///project/pay.py", 3))
    client.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(first)))
    if how == "renamed by the editor":
        client.workspace_did_rename_files(types.RenameFilesParams([types.FileRename(first, "file:///project/b.py")]))
    elif how == "deleted":
        client.workspace_did_delete_files(types.DeleteFilesParams([types.FileDelete(first)]))
    elif not how.startswith("saved"):
        changed = NOTES.replace("shop", "till") if how == "renamed and edited" else NOTES
        client.open(changed, uri="file:///project/.env", language_id="dotenv")

    assert "tok_live_1" not in (await offered(client, "file:///project/pay.py", 3))


async def offered(client: Client, uri: str, line: int) -> str:
    item = await client.complete(line, 9, uri=uri, invoked=True)
    return str(item.insert_text) if item else ""
