"""The client says in which units it counts; edits and suggestions keep to them, beyond the basic plane too."""

from pathlib import Path

import pytest

from tests.lsp_server.in_process import InProcess

URI = "untitled:a"
LINE = "é = '😀𐀀e\u0301日'; "
UNITS = {"utf-8": len(LINE.encode()), "utf-16": len(LINE.encode("utf-16-le")) // 2, "utf-32": len(LINE)}


@pytest.mark.parametrize(
    ("encodings", "agreed"),
    [
        (None, "utf-16"),
        (["utf-16"], "utf-16"),
        (["utf-8", "utf-16"], "utf-8"),
        (["utf-32", "utf-16"], "utf-32"),
        (["utf-7", "utf-16"], "utf-16"),
    ],
)
async def test_positions_are_in_the_units_that_the_client_prefers(
    tmp_path: Path, encodings: list[str] | None, agreed: str
) -> None:
    client = InProcess(tmp_path / "ledger.sqlite3")
    assert await client.start(encodings) == agreed
    item = {"uri": URI, "languageId": "python", "version": 1, "text": f"# 😀\r\n{LINE}z"}
    client.tell("textDocument/didOpen", {"textDocument": item})
    at = {"line": 1, "character": UNITS[agreed]}
    behind = {"line": 1, "character": UNITS[agreed] + 1}

    edit = {"range": {"start": at, "end": behind}, "text": "x"}
    client.tell("textDocument/didChange", {"textDocument": {"uri": URI, "version": 2}, "contentChanges": [edit]})
    question = {"textDocument": {"uri": URI}, "position": behind, "context": {"triggerKind": 1}}
    answer = await client.ask("textDocument/inlineCompletion", question)

    assert client.engine.requests[-1].prefix == f"# 😀\n{LINE}x"
    assert answer["items"][0]["range"] == {"start": behind, "end": behind}
    await client.server.stop()
