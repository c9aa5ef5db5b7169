"""Types for hours in a moment: `python -m tests.lsp_server.soak [KEYS]`; memory must stay as it is.

Each key is an edit and a question, as an editor sends them; now and then one is accepted, or the document closed.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from lsp_server.books.session import MAX_OPEN_OFFERS
from lsp_server.protocol import DID_ACCEPT
from tests.lsp_server.in_process import InProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LINE = "value = first(second, é)\n"
N_LINES = 100
SETTINGS = {"debounceMs": 0, "skipUnlikely": False}


async def type_on(client: InProcess, n_keys: int) -> AsyncIterator[int]:
    """Types so many keys; gives their number after each thousand."""
    uri, at = "untitled:soak", 0
    for n in range(n_keys):
        client.engine.requests.clear()
        client.engine.looked_up.clear()
        if at == 0:
            document = {"uri": uri, "languageId": "python", "version": 1, "text": LINE * N_LINES}
            client.tell("textDocument/didOpen", {"textDocument": document})
        place = {"line": at // len(LINE), "character": at % len(LINE)}
        edit = {"range": {"start": place, "end": place}, "text": LINE[at % len(LINE)]}
        version = {"uri": uri, "version": n}
        client.tell("textDocument/didChange", {"textDocument": version, "contentChanges": [edit]})
        at += 1
        place = {"line": at // len(LINE), "character": at % len(LINE)}
        question = {"textDocument": {"uri": uri}, "position": place, "context": {"triggerKind": 1 + n % 2}}
        answer = await client.ask("textDocument/inlineCompletion", question)
        if answer["items"] and n % 10 == 0:
            arguments = answer["items"][0]["command"]["arguments"]
            await client.ask("workspace/executeCommand", {"command": DID_ACCEPT, "arguments": arguments})
        if at == len(LINE) * N_LINES // 3:
            client.tell("textDocument/didClose", {"textDocument": {"uri": uri}})
            at = 0
        if n % 1000 == 999:
            yield n + 1


async def grown_bytes(n_keys: int, ledger: Path) -> float:
    """How many bytes a key leaves behind, after so many that everything bounded is full."""
    client = InProcess(ledger)
    await client.start(None)
    client.tell(
        "workspace/didChangeConfiguration", {"settings": {"greenCode": {"debounceMs": 0, "skipUnlikely": False}}}
    )
    tracemalloc.start()
    async for _ in type_on(client, MAX_OPEN_OFFERS + 100):
        pass
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    async for _ in type_on(client, n_keys):
        pass
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await client.server.stop()
    return (after - before) / n_keys


async def soak(n_keys: int, ledger: Path) -> None:
    """Prints the process's memory as it goes."""
    client, process, begun_s = InProcess(ledger), psutil.Process(), time.monotonic()
    await client.start(None)
    client.tell(
        "workspace/didChangeConfiguration", {"settings": {"greenCode": {"debounceMs": 0, "skipUnlikely": False}}}
    )
    async for n in type_on(client, n_keys):
        if n % max(1000, n_keys // 20 // 1000 * 1000) == 0:
            said = f"{n} keys, {time.monotonic() - begun_s:.0f} s: {process.memory_info().rss / 1e6:.1f} MB"
            print(said, flush=True)  # noqa: T201
    await client.server.stop()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(soak(int(sys.argv[1]) if sys.argv[1:] else 200_000, Path(folder, "ledger.sqlite3")))
