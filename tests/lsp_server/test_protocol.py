"""The server over stdio, in a process of its own, around a fake engine: handshake, odd messages, and every end."""

import asyncio
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from lsp_server.protocol import DID_ACCEPT, HISTORY, RESET_SESSION, SNOOZE
from tests.lsp_server.client import (
    ROOT,
    URI,
    Client,
    capabilities,
    fake_server,
    initialize,
    started,
)

pytestmark = pytest.mark.timeout(60)

PLACE = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 0}}
INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, NOT_INITIALIZED = -32602, -32600, -32601, -32002
DAYS = {"by": "day", "days": 7, "country": ""}
REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    (
        "textDocument/inlineCompletion",
        {"params": {**PLACE, "context": {"triggerKind": 0}}},
        INVALID_PARAMS,
        "The message textDocument/inlineCompletion cannot be understood",
    ),
    ("textDocument/inlineCompletion", {}, INVALID_PARAMS, "cannot be understood"),
    ("textDocument/inlineCompletion", {"params": []}, INVALID_PARAMS, "cannot be understood"),
    (HISTORY, {}, INVALID_PARAMS, "cannot be understood"),
    (HISTORY, {"params": {"by": "day", "days": "many", "country": ""}}, INVALID_PARAMS, "cannot be understood"),
    (HISTORY, {"params": DAYS | {"days": 0}}, INVALID_PARAMS, "The number of days must be from 1 to"),
    (HISTORY, {"params": DAYS | {"by": "year"}}, INVALID_PARAMS, "cannot be understood"),
    (HISTORY, {"params": DAYS | {"country": "Utopia"}}, INVALID_PARAMS, "no carbon intensity of 'Utopia'"),
    (SNOOZE, {"params": {"minutes": -1}}, INVALID_PARAMS, "from 0 to 1440"),
    ("greenCode/unheardOf", {}, METHOD_NOT_FOUND, "greenCode/unheardOf"),
    ("workspace/executeCommand", {"params": {"command": DID_ACCEPT}}, INVALID_PARAMS, "takes a completion's id"),
    (
        "workspace/executeCommand",
        {"params": {"command": DID_ACCEPT, "arguments": [{"id": 1}]}},
        INVALID_PARAMS,
        "takes a completion's id",
    ),
    *(
        (
            "workspace/executeCommand",
            {"params": {"command": DID_ACCEPT, "arguments": arguments}},
            INVALID_PARAMS,
            "takes a completion's id",
        )
        for arguments in (["a", -1], ["a", 2**80], ["a", 1.5], ["", 1], ["\ud800", 1], ["a" * 5000, 1], ["a"])
    ),
    ("workspace/executeCommand", {"params": {"command": "rm"}}, INVALID_PARAMS, "not defined"),
]  # fmt: skip
MEANINGLESS = ["{", "[]", "7", "null", '{"method": "exit"}', '{"jsonrpc": "2.0", "method": "$/x"}']


async def test_the_handshake_announces_what_is_served(server: AbstractAsyncContextManager[Client]) -> None:
    async with server as client:
        result = await initialize(client)

    assert result.server_info is not None
    assert result.server_info.name == "green-code"
    assert result.capabilities.inline_completion_provider == types.InlineCompletionOptions(work_done_progress=False)
    assert result.capabilities.execute_command_provider is not None
    assert list(result.capabilities.execute_command_provider.commands) == [DID_ACCEPT]
    assert result.capabilities.position_encoding == "utf-16"


async def test_a_loaded_server_says_how_it_is(client: Client) -> None:
    status = client.statuses.messages[-1]

    assert (status.health, status.message, status.model) == ("ok", "", "smollm2-135m")
    assert (status.device, status.meter, status.meter_notes) == (
        "CPU, 1 thread",
        "measured: fake counter",
        ["NVML: no GPU."],
    )
    loading = client.statuses.messages[0]
    assert (loading.quiescent, loading.message) == (False, "Loading the model smollm2-135m.")


async def test_what_cannot_be_understood_is_answered_with_an_error(client: Client) -> None:
    for method, message, code, words in REFUSED:
        with pytest.raises(JsonRpcException, match=re.escape(words)) as refused:
            await client.request(method, **message)

        assert (refused.value.code, refused.value.data) == (code, None), (method, message)


async def test_bodies_that_mean_nothing_do_no_harm(client: Client) -> None:
    for body in MEANINGLESS:
        client.send(body)

        assert (await client.request(RESET_SESSION)).requests == 0, body
        assert client.messages == []


async def test_another_spelling_of_the_header_silences_nothing(client: Client) -> None:
    body = b'{"jsonrpc": "2.0", "method": "$/ping"}'
    client.write(b"content-type: application/vscode-jsonrpc; charset=utf8\r\nCONTENT-LENGTH:38 \r\n\r\n" + body)

    assert (await client.request(RESET_SESSION)).requests == 0


async def test_a_stream_that_holds_no_messages_ends_the_server(client: Client) -> None:
    client.write(b"GET / HTTP/1.1\r\n\r\n")

    assert await asyncio.wait_for(client.server_process.wait(), 30) == 1


async def test_requests_before_the_handshake_are_refused(server: AbstractAsyncContextManager[Client]) -> None:
    async with server as client:
        with pytest.raises(JsonRpcException) as refused:
            await client.request(RESET_SESSION)

    assert refused.value.code == NOT_INITIALIZED


async def test_requests_after_shutdown_are_refused(client: Client) -> None:
    await client.shutdown_async(None)

    with pytest.raises(JsonRpcException) as refused:
        await client.request(RESET_SESSION)

    assert refused.value.code == INVALID_REQUEST


async def test_sigterm_ends_the_server_and_writes_the_ledger(client: Client, ledger: Path) -> None:
    client.open("hold")
    request = asyncio.ensure_future(client.complete(0, 4))
    await client.status(lambda status: not status.quiescent)

    client.server_process.send_signal(signal.SIGTERM)

    assert await asyncio.wait_for(client.server_process.wait(), 30) == 0
    await asyncio.wait([request])
    assert _finish_reasons(ledger) == ["cancelled"]


async def test_a_load_that_is_stuck_does_not_keep_the_process(server: AbstractAsyncContextManager[Client]) -> None:
    async with server as client:
        await initialize(client, {"model": "stuck"})
        await client.status(lambda status: "Fetching" in status.message)

        await asyncio.wait_for(client.shutdown_session(), 10)

        assert client.server_process.returncode == 0


async def test_a_proper_end_exits_with_0(client: Client) -> None:
    await client.shutdown_session()

    assert client.server_process.returncode == 0


async def test_exit_without_shutdown_exits_with_1(client: Client) -> None:
    client.exit(None)

    assert await asyncio.wait_for(client.server_process.wait(), 30) == 1


async def test_a_lost_connection_ends_the_server(client: Client) -> None:
    client.disconnect()

    assert await asyncio.wait_for(client.server_process.wait(), 30) == 1


async def test_the_server_ends_when_its_editor_dies_though_the_pipe_stays_open(
    server: AbstractAsyncContextManager[Client],
) -> None:
    editor = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    async with server as client:
        await client.initialize_session(types.InitializeParams(capabilities=capabilities(), process_id=editor.pid))
        await client.ready()
        editor.communicate(b"\n")

        assert await asyncio.wait_for(client.server_process.wait(), 30) == 1


async def test_a_damaged_ledger_is_a_warning_and_completions_go_on(ledger: Path) -> None:
    ledger.write_bytes(b"no database" * 1000)
    async with started(*fake_server(ledger)) as client:
        await initialize(client)
        status = await client.status(lambda status: status.health == "warning" and status.model is not None)
        client.open("x")

        assert status.message.startswith("The energy ledger was damaged; it is kept as ledger.corrupt-")
        assert await client.complete(0, 1) is not None


async def test_a_workspace_with_modules_of_our_names_is_not_imported(tmp_path: Path, ledger: Path) -> None:
    for name in ("engine", "lsp_server", "pygls"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('imported from the workspace')")
    (tmp_path / "torch.py").write_text("raise SystemExit('imported from the workspace')")
    script = (
        f"import sys; sys.path.append({str(ROOT)!r}); sys.argv = ['serve', {str(ledger)!r}];"
        "import runpy; runpy.run_module('tests.lsp_server.fake_server', run_name='__main__')"
    )
    async with started(sys.executable, "-I", "-c", script, cwd=tmp_path) as client:
        await initialize(client)

        assert (await client.ready()).health == "ok"


def _finish_reasons(ledger: Path) -> list[str]:
    with closing(sqlite3.connect(ledger)) as database:
        return [reason for (reason,) in database.execute("SELECT finish_reason FROM completion")]
