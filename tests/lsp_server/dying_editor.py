"""An editor for `editor_kills`: `python -m tests.lsp_server.dying_editor FOLDER COMMAND...` uses a server.

It tells each step before it takes it, and each completion as soon as the server has answered with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

STEPS = ("starts", "greets", "opens", "asks", "waits", "floods", "ends")
"""Between two of them anything may be under way, be it an answer of which nobody reads a byte."""

_N_ASKED = 3
_N_FLOOD = 500  # several times what a pipe holds
_LONG = "value = first\n" * 20_000
_SETTINGS = {"debounceMs": 0, "skipUnlikely": False}


class _Server:
    def __init__(self, folder: Path, command: list[str]) -> None:
        self._folder, self._n = folder, 0
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        tell("starts", self._process.pid)

    def send(self, method: str, params: dict[str, Any], **request_id: int) -> None:
        assert self._process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **request_id}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def begin(self, method: str, params: dict[str, Any]) -> None:
        """Sends a request, and does not wait."""
        self._n += 1
        self.send(method, params, id=self._n)

    def answer(self) -> Any:  # noqa: ANN401 - any JSON
        """The answer to the newest request."""
        assert self._process.stdout is not None
        while True:
            headers = list(iter(self._process.stdout.readline, b"\r\n"))
            message = json.loads(self._process.stdout.read(int(headers[0].rpartition(b":")[2])))
            if message.get("id") == self._n and "method" not in message:
                return message["result"]

    def ask_in(self, text: str) -> bool:
        """Opens a document and asks at its end; False while there is no engine yet."""
        uri = (self._folder / f"{self._n}.py").as_uri()
        document = {"uri": uri, "languageId": "python", "version": 1, "text": text}
        self.send("textDocument/didOpen", {"textDocument": document})
        end = {"line": text.count("\n"), "character": len(text.rpartition("\n")[2])}
        place = {"textDocument": {"uri": uri}, "position": end, "context": {"triggerKind": 1}}
        self.begin("textDocument/inlineCompletion", place)
        answer = self.answer()
        if answer is None or not answer["items"]:
            return False
        tell("told", answer["items"][0]["command"]["arguments"][0])
        return True

    def wait(self) -> None:
        """Until it has ended."""
        self._process.wait()


def tell(step: str, what: object = "") -> None:
    """In one piece, so that a kill leaves no half of a line."""
    os.write(1, f"{step} {what}\n".encode())


def main() -> None:
    """Takes all steps."""
    folder = Path(sys.argv[1])
    server = _Server(folder, sys.argv[2:])
    tell("greets")
    settings = {"initializationOptions": _SETTINGS, "rootUri": folder.as_uri(), "capabilities": {}}
    server.begin("initialize", {"processId": os.getpid(), **settings})
    server.answer()
    server.send("initialized", {})
    tell("opens")
    while not server.ask_in(_LONG + "x"):
        time.sleep(0.01)
    tell("asks")
    for n in range(_N_ASKED):
        server.ask_in(f"value_{n} = x")
    tell("waits")
    server.ask_in("slowly")
    tell("floods")
    for _ in range(_N_FLOOD):
        server.begin("greenCode/resetSession", {})
    server.answer()
    tell("ends")
    server.begin("shutdown", {})
    server.answer()
    server.send("exit", {})
    server.wait()


if __name__ == "__main__":
    main()
