"""Folders and documents whose names are no names of files: one sentence about them, and suggestions elsewhere."""

from contextlib import AbstractAsyncContextManager

import pytest
from lsprotocol import types

from tests.lsp_server.client import EVERYWHERE, Client

ODD = [
    "file:///a%00b",
    "file:///a\ud800b",
    "file:///a%ED%A0%80b",
    "file://[",
    "file:///[x](y)*?",
    "http://[bad/x",
    "vscode-notebook-cell://[/a",
    "file:///" + "a" * 5000,
    "file:///" + "/".join(["d" * 200] * 60),
    "file:///%",
    "::::",
]
ELSEWHERE = "file:///elsewhere/a.py"


async def start(client: Client, **place: object) -> None:
    params = {"processId": None, "capabilities": {}, "initializationOptions": {**EVERYWHERE, "otherFiles": True}}
    await client.request("initialize", params={**params, **place})
    client.initialized(types.InitializedParams())
    await client.ready()


def tell(client: Client, method: str, **params: object) -> None:
    client.send_raw(method, params)


async def is_offered(client: Client, uri: str) -> bool:
    text = "x = 1\ny"
    tell(client, "textDocument/didOpen", textDocument={"uri": uri, "languageId": "python", "version": 1, "text": text})
    answer = await client.request(
        "textDocument/inlineCompletion",
        params={"textDocument": {"uri": uri}, "position": {"line": 1, "character": 1}, "context": {"triggerKind": 1}},
    )
    tell(client, "textDocument/didClose", textDocument={"uri": uri})
    return answer is not None


@pytest.mark.parametrize("name", ODD[1:7], ids=range(6))
async def test_a_workspace_of_an_odd_name_is_none(server: AbstractAsyncContextManager[Client], name: str) -> None:
    async with server as client:
        await start(client, rootUri=name, workspaceFolders=[{"uri": name, "name": "odd"}])
        assert await is_offered(client, ELSEWHERE)


async def test_documents_and_folders_of_odd_names_break_nothing(server: AbstractAsyncContextManager[Client]) -> None:
    async with server as client:
        await start(client, rootUri=None)
        for name in ODD:
            folder = {"uri": name, "name": "odd"}
            tell(client, "workspace/didChangeWorkspaceFolders", event={"added": [folder], "removed": []})
            told = len(client.hints.messages)
            if not await is_offered(client, name):
                hint = await client.hints.newest(lambda hint, told=told: len(client.hints.messages) > told)  # type: ignore[misc]
                assert hint.endswith("its place on the disk cannot be looked at.")
                assert len(hint) < 150
                assert hint.isprintable()
            tell(client, "textDocument/didSave", textDocument={"uri": name})
            tell(client, "workspace/didRenameFiles", files=[{"oldUri": name, "newUri": name}])
            assert await is_offered(client, ELSEWHERE)
