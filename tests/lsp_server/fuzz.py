"""Messages of every kind, well and badly formed, for one server: `python -m tests.lsp_server.fuzz [MESSAGES] [SEED]`.

Each request is answered, once; no answer is an internal error; nothing is kept of what has ended; and the server still
completes at the end.
"""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import logging
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from lsprotocol.types import METHOD_TO_TYPES

from lsp_server.handlers import create_server
from lsp_server.protocol import DID_ACCEPT, HISTORY, RESET_SESSION, SNOOZE
from tests.fakes import load_fake_engine

INTERNAL_ERROR = -32603
N_SHOWN = 30
URIS = ["untitled:a", "file:///fuzz/b.py", "file://[", "file:///a%00b", "vscode-notebook-cell:/n.ipynb#1", "", "\ud800"]
WORDS = ["", "x", "hold", "crash", "refuse", "nothing", "block", "é😀", "\ud83d", "\r\n", "\n", "a\nb", "y" * 5000]
ODD = [None, True, -1, 0, 1.5, 2**31, 2**70, "", "a", "\ud800", [], {}, [None], {"a": 1}, "\0", 1e308, "9" * 400]
METHODS = [
    *("textDocument/didOpen", "textDocument/didChange", "textDocument/didChange", "textDocument/didChange"),
    *(
        "textDocument/didClose",
        "textDocument/didSave",
        "textDocument/inlineCompletion",
        "textDocument/inlineCompletion",
    ),
    *(
        "$/cancelRequest",
        "workspace/didChangeConfiguration",
        "workspace/executeCommand",
        RESET_SESSION,
        HISTORY,
        SNOOZE,
    ),
    *("workspace/didChangeWorkspaceFolders", "workspace/didRenameFiles", "workspace/didDeleteFiles", "initialize"),
    *(
        "notebookDocument/didOpen",
        "notebookDocument/didChange",
        "notebookDocument/didClose",
        "$/setTrace",
        "initialized",
    ),
]
REST = sorted(set(METHOD_TO_TYPES) - {"exit", "shutdown"})


class Messages:
    """A stream of messages, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._n = 0

    def body(self) -> bytes:
        """One message, be it one that means something or not."""
        chance = self._chance
        message = self._message()
        if chance.random() < 0.15:
            message = copy.deepcopy(message)  # what is odd is odd in many, and must not come to hold itself
            self._spoil(message)
        body = json.dumps(message).encode()
        if chance.random() < 0.02:
            cut = chance.randrange(len(body) + 1)
            body = body[:cut] + bytes([chance.randrange(256)]) + body[cut + chance.randrange(3) :]
        return body

    def _message(self) -> dict[str, Any]:
        chance = self._chance
        method = chance.choice(METHODS) if chance.random() < 0.95 else chance.choice(REST)
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": self._params(method)}
        is_request = method in {
            "textDocument/inlineCompletion",
            "workspace/executeCommand",
            RESET_SESSION,
            HISTORY,
            SNOOZE,
        }
        if is_request != (chance.random() < 0.03):
            self._n += 1
            message["id"] = chance.choice([self._n, f"id-{self._n}"])
        return message

    def _params(self, method: str) -> dict[str, Any]:
        chance = self._chance
        document = {"uri": chance.choice(URIS)}
        place = {"line": chance.choice([0, 0, 1, 7, 2**31 - 1]), "character": chance.choice([0, 1, 4, 99, 2**31 - 1])}
        other = {"line": chance.choice([0, 1, 3]), "character": chance.choice([0, 2, 50])}
        edits = [{"range": {"start": place, "end": chance.choice([place, other])}, "text": chance.choice(WORDS)}]
        if chance.random() < 0.1:
            edits = [{"text": "".join(chance.choices(WORDS, k=5))}]
        version = chance.randrange(5)
        folder = {"uri": document["uri"], "name": "n"}
        cell = {"kind": 2, "document": document["uri"]}
        book = {"uri": "file:///n.ipynb", "version": version}
        full = {
            **document,
            "languageId": chance.choice(["python", "c", "", "x"]),
            "version": 1,
            "text": chance.choice(WORDS),
        }
        known: dict[str, dict[str, Any]] = {
            "textDocument/didOpen": {"textDocument": full},
            "textDocument/didChange": {"textDocument": {**document, "version": version}, "contentChanges": edits},
            "textDocument/inlineCompletion": {
                "textDocument": document,
                "position": place,
                "context": {"triggerKind": chance.choice([0, 1, 2])},
            },
            "$/cancelRequest": {"id": chance.choice([self._n, f"id-{self._n}", "none"])},
            "workspace/didChangeConfiguration": {
                "settings": {"greenCode": {chance.choice(SETTINGS): chance.choice(ODD)}}
            },
            "workspace/executeCommand": {
                "command": chance.choice([DID_ACCEPT, "x"]),
                "arguments": chance.sample(ODD, chance.randrange(4)),
            },
            HISTORY: {"days": chance.choice(ODD)},
            SNOOZE: {"minutes": chance.choice([0, 0, 0, -1, 2**80, None])},
            "workspace/didChangeWorkspaceFolders": {"event": {"added": [folder], "removed": [folder]}},
            "workspace/didRenameFiles": {"files": [{"oldUri": document["uri"], "newUri": document["uri"]}]},
            "workspace/didDeleteFiles": {"files": [document]},
            "notebookDocument/didOpen": {
                "notebookDocument": {**book, "notebookType": "jupyter-notebook", "cells": [cell]},
                "cellTextDocuments": [full],
            },
            "notebookDocument/didChange": {
                "notebookDocument": book,
                "change": {
                    "cells": {
                        "structure": {"array": {"start": version, "deleteCount": version, "cells": [cell]}},
                        "textContent": [{"document": {**document, "version": 1}, "changes": edits}],
                    }
                },
            },
            "notebookDocument/didClose": {"notebookDocument": book, "cellTextDocuments": [document]},
            "$/setTrace": {"value": chance.choice(["off", "verbose"])},
            "initialized": {},
        }
        return known.get(method, {"textDocument": document, "position": place, "edits": edits})

    def _spoil(self, message: dict[str, Any]) -> None:
        """Puts something odd in place of a part, or takes the part away."""
        chance = self._chance
        node: Any = message
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                return
            key = chance.choice(keys)
            if isinstance(node[key], dict | list) and chance.random() < 0.7:
                node = node[key]
                continue
            if chance.random() < 0.3:
                del node[key]
            else:
                node[key] = chance.choice(ODD)
            return


SETTINGS = [
    "greenMode",
    "languages",
    "debounceMs",
    "privateFiles",
    "policy",
    "logLevel",
    "otherFiles",
    "reuse",
    "inComments",
]


class Answers:
    """What the server sends, in place of a pipe."""

    def __init__(self) -> None:
        self.by_id: Counter[str] = Counter()
        self.internal: list[dict[str, Any]] = []

    def write(self, data: bytes) -> None:
        """Takes note of one message."""
        message = json.loads(data.partition(b"\r\n\r\n")[2])
        if "method" not in message:
            self.by_id[repr(message["id"])] += 1
            if message.get("error", {}).get("code") == INTERNAL_ERROR:
                self.internal.append(message)

    def close(self) -> None:
        """Nothing is open."""


class Traces(logging.Handler):
    """What went wrong, and where, in place of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self._loggers = [logging.getLogger(name) for name in ("pygls", "lsp_server", "engine")]
        for logger in self._loggers:
            logger.addHandler(self)
            logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Takes note of an error's place."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and record.name.startswith("pygls"):
            last = traceback.extract_tb(error.__traceback__)[-1]
            self.seen.append(f"{error!r} in {last.filename}:{last.lineno}")

    def close(self) -> None:
        """Gives the log back."""
        for logger in self._loggers:
            logger.removeHandler(self)
            logger.propagate = True
        super().close()


async def fuzz(n_messages: int, seed: int, ledger: Path) -> list[str]:
    """Sends them; gives what went wrong, a sentence each."""
    traces = Traces()
    server = create_server(load_fake_engine, ledger_path=ledger)
    answers = Answers()
    server.protocol.set_writer(answers)
    asked: Counter[str] = Counter()
    faults: list[str] = []
    bodies: dict[str, bytes] = {}

    async def send(message: dict[str, Any]) -> None:
        server.protocol.receive(json.dumps({"jsonrpc": "2.0", **message}).encode())
        await asyncio.sleep(0)

    options = {"skipUnlikely": False, "debounceMs": 0}
    await send(
        {
            "id": "start",
            "method": "initialize",
            "params": {"processId": None, "capabilities": {}, "initializationOptions": options},
        }
    )
    await send({"method": "initialized", "params": {}})
    while server.state.engine is None:
        await asyncio.sleep(0.01)
    messages = Messages(seed)
    for n in range(n_messages):
        body = messages.body()
        try:
            server.protocol.receive(body)
        except Exception as error:
            faults.append(f"{error!r} of {body[:400]!r}")
        if (request_id := _id_of(body)) is not None:
            asked[request_id] += 1
            bodies[request_id] = body[:400]
        if n % 20 == 0:
            await asyncio.sleep(0)
    for uri in URIS:
        await send({"method": "textDocument/didClose", "params": {"textDocument": {"uri": uri}}})
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s and asked - answers.by_id:
        await asyncio.sleep(0.05)
    faults += [f"not answered: {n} of {bodies[request_id]!r}" for request_id, n in (asked - answers.by_id).items()]
    faults += [
        f"answered {n} times too often: {bodies.get(request_id, request_id)!r}"
        for request_id, n in (answers.by_id - asked).items()
        if request_id != "'start'"
    ]
    faults += [f"an internal error: {bodies[repr(message['id'])]!r}" for message in answers.internal]
    faults += traces.seen if answers.internal else []
    if left := len(server.protocol._request_futures):
        faults.append(f"{left} futures are kept")
    await server.stop()
    traces.close()
    return faults


def _id_of(body: bytes) -> str | None:
    """The id of what is to be answered."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or "id" not in message:
        return None
    if "method" not in message and message.get("jsonrpc") == "2.0":  # an answer to nobody
        return None
    is_id = isinstance(message["id"], int | str) and not isinstance(message["id"], bool)
    return repr(message["id"] if is_id else None)


def main(n_messages: int = 100_000, seed: int = 0) -> None:
    """Prints the faults, and how the memory grew."""
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        begun_s = time.monotonic()
        for part in range(max(1, n_messages // 10_000)):
            faults = asyncio.run(fuzz(min(n_messages, 10_000), seed + part, Path(folder, "ledger.sqlite3")))
            gc.collect()
            memory = process.memory_info().rss / 1e6
            said = f"{time.monotonic() - begun_s:7.1f} s, part {part}: {len(faults)} faults, {memory:.0f} MB"
            print(said, flush=True)  # noqa: T201
            for fault in faults[:N_SHOWN]:
                print("  ", fault[:600])  # noqa: T201
            if faults:
                sys.exit(1)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
