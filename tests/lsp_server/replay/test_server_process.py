"""What other builds of the server say, as the replay reads it."""

from dataclasses import fields

import pytest

from lsp_server.protocol import SessionEnergy, Status
from lsp_server.replay.server_process import ServerProcess

_WORDS = {"health", "remedy", "silence", "provenance"}


@pytest.fixture
def server() -> ServerProcess:
    return ServerProcess(lambda _: None, lambda _: None)


def test_what_a_build_does_not_tell_is_none_or_nothing(server: ServerProcess) -> None:
    for read in (server._read({}, Status), server._read({}, SessionEnergy)):
        assert not any(getattr(read, field.name) for field in fields(read) if field.name not in _WORDS)


def test_what_a_build_tells_is_read(server: ServerProcess) -> None:
    read = server._read({"health": "warning", "message": "Words.", "unheardOf": 1}, Status)

    assert (read.health, read.message, read.silence, read.quiescent) == ("warning", "Words.", "none", False)
