#!/usr/bin/env bash
# pygls 2.1.1: every notification that it handles itself leaves a future behind, and an answer may end a client's request.
#
# The dictionary of requests under way, `_request_futures`, also holds what is done for messages of the client:
#   after 1,000 didChange               1,000 futures in it, each of about 2 kB, that never go
#   an answer by the id of a request    "Task does not support set_exception operation", and nobody is answered
# `_execute_handler` enters the future of a generator under a new id; only those of requests are taken out again. And
# `_handle_response` takes whatever it finds under an id for a request of the server's.
# Exits non-zero when neither happens any more.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pygls==2.1.1 lsprotocol==2025.0.0
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import json
import sys

from pygls.lsp.server import LanguageServer

URI = "file:///a.py"
START = {"line": 0, "character": 0}


class Nowhere:
    def write(self, data):
        pass

    def close(self):
        pass


async def main():
    server = LanguageServer("finding", "1")
    server.protocol.set_writer(Nowhere())

    @server.feature("textDocument/hover")
    async def hover(params):
        await asyncio.sleep(3600)

    def send(**message):
        text = json.dumps({"jsonrpc": "2.0", **message})
        server.protocol.handle_message(json.loads(text, object_hook=server.protocol.structure_message))

    send(id=1, method="initialize", params={"processId": None, "rootUri": None, "capabilities": {}})
    document = {"uri": URI, "languageId": "python", "version": 1, "text": ""}
    send(method="textDocument/didOpen", params={"textDocument": document})
    before = len(server.protocol._request_futures)
    change = {"range": {"start": START, "end": START}, "text": "x"}
    for n in range(1000):
        edit = {"textDocument": {"uri": URI, "version": n}, "contentChanges": [change]}
        send(method="textDocument/didChange", params=edit)
    kept = len(server.protocol._request_futures) - before
    print(f"after 1,000 didChange: {kept} futures more")

    send(id=2, method="textDocument/hover", params={"textDocument": {"uri": URI}, "position": START})
    await asyncio.sleep(0)
    request = server.protocol._request_futures[2]
    try:
        send(id=2, error={"code": 1, "message": ""})
        said = ""
    except RuntimeError as error:
        said = str(error)
    print(f"an answer by the id of a request: {said!r}; still known: {2 in server.protocol._request_futures}")
    request.cancel()
    return kept == 1000 or "set_exception" in said


sys.exit(not asyncio.run(main()))
PYTHON
