"""However its client goes, or stops listening, the server's process is soon gone too, and says no more than a line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.lsp_server.client import PATIENCE_S, ROOT, fake_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOON_S = 6.0  # a watch of two seconds, an end of two, and a slow machine
MANY = 4_000
SHUTDOWN_AND_EXIT = ({"id": 9, "method": "shutdown"}, {"method": "exit"})


class RawClient:
    """Writes messages, and reads none but what it is told to."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self.stdin, self.stdout = process, process.stdin, process.stdout

    def send(self, *messages: dict[str, Any]) -> None:
        bodies = [json.dumps({"jsonrpc": "2.0", **message}).encode() for message in messages]
        self.stdin.write(b"".join(b"Content-Length: %d\r\n\r\n%s" % (len(body), body) for body in bodies))

    def shake_hands(self, process_id: int | None = None, **options: object) -> None:
        params = {"processId": process_id, "capabilities": {}, "rootUri": None, "initializationOptions": options}
        self.send({"id": 1, "method": "initialize", "params": params})
        assert os.read(self.stdout.fileno(), 1 << 16)

    def ends_within(self, limit_s: float) -> int:
        """The exit status; the watch for its end begins now."""
        begun_s = time.monotonic()
        status = self.process.wait(PATIENCE_S)
        assert time.monotonic() - begun_s < limit_s
        return status


@contextmanager
def raw_client(ledger: Path) -> Iterator[RawClient]:
    with (ledger.parent / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            fake_server(ledger), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, cwd=ROOT, bufsize=0
        )
    with process:
        try:
            yield RawClient(process)
        finally:
            process.kill()


def test_shutdown_and_exit_in_one_breath_are_a_proper_end(ledger: Path) -> None:
    with raw_client(ledger) as client:
        client.shake_hands()
        client.send({"method": "initialized", "params": {}}, *SHUTDOWN_AND_EXIT)
        assert client.ends_within(SOON_S) == 0


def test_a_load_that_is_stuck_does_not_hold_the_end_up(ledger: Path) -> None:
    with raw_client(ledger) as client:
        client.shake_hands(model="stuck")
        client.send({"method": "initialized", "params": {}}, *SHUTDOWN_AND_EXIT)
        assert client.ends_within(SOON_S) == 0


def test_a_client_that_reads_nothing_can_still_end_the_server(ledger: Path) -> None:
    with raw_client(ledger) as client:
        client.shake_hands()
        client.send(*({"id": n, "method": "greenCode/resetSession"} for n in range(100, MANY)))
        client.send(*SHUTDOWN_AND_EXIT)
        client.stdin.close()
        client.ends_within(SOON_S + 5)  # it answers all it was asked


def test_a_client_that_died_while_it_was_written_to_is_mourned_in_few_words(ledger: Path) -> None:
    with raw_client(ledger) as client:
        client.shake_hands()
        client.stdout.close()
        with suppress(OSError):  # it has ended in between
            client.send(*({"id": n, "method": "greenCode/resetSession"} for n in range(100, MANY)))
        assert client.ends_within(SOON_S) == 1
    assert (ledger.parent / "stderr").stat().st_size < 2_000


@pytest.mark.skipif(sys.platform == "win32", reason="there are no zombies")
def test_a_client_whose_end_nobody_asks_about_is_gone(ledger: Path) -> None:
    editor = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert editor.stdin is not None
    with raw_client(ledger) as client:
        client.shake_hands(process_id=editor.pid)
        editor.stdin.close()  # it ends, and stays a zombie until `wait` below; our pipes stay open
        assert client.ends_within(SOON_S) == 1
    editor.wait()


_NEVER_STARTED = """
import threading
from lsp_server import late_records, serving
late_records.import_late = threading.Event().wait  # as on a machine that is too busy to import anything
serving.serve()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no telling that nobody reads")
def test_a_server_that_still_starts_ends_with_its_client() -> None:
    command = [sys.executable, "-c", _NEVER_STARTED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, bufsize=0) as process:
        client = RawClient(process)
        client.send({"id": 1, "method": "initialize", "params": {}})
        client.stdout.close()
        assert client.ends_within(SOON_S) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="its shell closes no stream")
@pytest.mark.parametrize("closed", ["<&-", ">&-"])
def test_a_server_without_an_input_or_an_output_says_so(closed: str) -> None:
    command = f'"{sys.executable}" -m lsp_server serve {closed}'
    with subprocess.Popen(
        ["sh", "-c", command], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        said = process.communicate(timeout=PATIENCE_S)[1]

    assert process.returncode == 1
    assert said.startswith("green-code: the server speaks with an editor over its standard input and output")
    assert said.count("\n") == 1


def test_a_server_that_starts_answers_what_came_before_its_input_ended(ledger: Path) -> None:
    with raw_client(ledger) as client:
        params: dict[str, Any] = {"processId": None, "capabilities": {}, "rootUri": None}
        client.send({"id": 1, "method": "initialize", "params": params}, *SHUTDOWN_AND_EXIT)
        client.stdin.close()
        assert b'"serverInfo"' in client.stdout.read()
        assert client.process.wait(PATIENCE_S) == 0
