"""`open_shared`: comes to the engine that a user's servers share, and starts its process where there is none.

It falls back on nothing: whoever calls it may load an engine of their own instead.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING

from engine.errors import EngineLostError, SharingError
from engine.process_tree import end_all
from engine.sentences import Sentence
from engine.service import wire
from engine.service.endpoint import Endpoint
from engine.service.link import Link
from engine.service.shared_engine import SharedEngine
from engine.service.wire import error_of, facts_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

    from engine.config import EngineConfig
    from engine.types import ProgressSink

LINGER_S = 30.0  # a window that is loaded anew comes back sooner
HOST = "engine.service.process"
_START = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])['path']
from engine.late_functions import make_late
make_late()
from {host} import main
main()"""
_START_LIMIT_S = 60.0  # until it listens, which takes no model; on a slow disk
_MOST_LOG_BYTES = 1 << 20
_TRIES = 3  # the engine that was found may just be leaving


def open_shared(
    config: EngineConfig,
    progress: ProgressSink,
    *,
    folder: Path | None = None,
    linger_s: float = LINGER_S,
    host: str = HOST,
) -> SharedEngine:
    """Comes to the engine of this configuration, which is loaded where it is not.

    Args:
        config: Which model, where.
        progress: Called on this thread; what it raises gives the load up.
        folder: Where servers and engines meet; None for the user's usual one.
        linger_s: How long an engine that is started here stays without servers.
        host: The module whose `main` is the engine's process.

    Raises:
        SharingError: If the engine cannot be shared here.
        EngineLostError: If its process ended while it loaded.
        EngineError: What loading raises.
    """
    endpoint = Endpoint.of(config, folder)
    for _ in range(_TRIES):
        connection = endpoint.connect() or _started(endpoint, linger_s, host)
        if connection is None:
            continue
        link = Link(connection)
        try:
            engine = _opened(link, endpoint, config, progress)
        except BaseException:
            link.close()
            raise
        if engine is not None:
            return engine
    raise _lost(endpoint)


def _opened(link: Link, endpoint: Endpoint, config: EngineConfig, progress: ProgressSink) -> SharedEngine | None:
    """The engine; None where it left before it said a word."""
    link.send({"do": wire.OPEN, "config": config})
    is_known = False
    while (message := link.receive()) is not None:
        is_known = True
        if message["is"] == wire.PROGRESS:
            progress(message["message"], message["done"], message["total"])
        elif message["is"] == wire.READY:
            return SharedEngine(link, facts_of(message["facts"]))
        elif message["is"] == wire.FAILED:
            raise error_of(message)
    if is_known:
        raise _lost(endpoint)
    return None


def _lost(endpoint: Endpoint) -> EngineLostError:
    return EngineLostError(
        Sentence("The engine's process ended while it loaded the model; its last words are in {log}.", log=endpoint.log)
    )


def _started(endpoint: Endpoint, linger_s: float, host: str) -> Connection | None:
    """Starts the engine's process, unless another server has just done so; None where it was killed at once."""
    from filelock import FileLock, Timeout  # whoever comes to an engine that is there needs none

    before = endpoint.process_id  # of one that was killed, which has left its notice
    try:
        with FileLock(endpoint.lock, timeout=_START_LIMIT_S, mode=0o600):
            connection = endpoint.connect()
            if connection is None:
                _start(endpoint, linger_s, host)
                connection = endpoint.connect()
    except Timeout:
        connection = None
    except OSError as error:
        raise SharingError(f"The engine's process cannot be started ({error.strerror}).") from error
    if connection is None and not (endpoint.is_deserted and endpoint.process_id != before):
        raise SharingError(f"The engine's process cannot be reached; its last words are in {endpoint.log}.")
    return connection


def _start(endpoint: Endpoint, linger_s: float, host: str) -> None:
    """Returns once it listens, or has ended."""
    parameters = {
        "path": sys.path,  # modules are found there as they are here, in whatever way that was told
        "folder": str(endpoint.folder),
        "name": endpoint.name,
        "working_folder": str(endpoint.working_folder),
        "log": str(endpoint.log),
        "linger_s": linger_s,
    }
    command = [sys.executable, "-I", "-c", _START.format(host=host), json.dumps(parameters)]
    with _log_file(endpoint.log) as words:
        child = subprocess.Popen(  # noqa: S603 - our own code
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            cwd=endpoint.working_folder,
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0)
            | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    assert child.stdout is not None
    timer = threading.Timer(_START_LIMIT_S, _kill, [child])
    timer.daemon = True
    timer.start()
    with child.stdout:
        child.stdout.readline()  # it listens, or has ended
    timer.cancel()
    child.wait()  # what goes on is its child


def _kill(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        end_all(child)


@contextlib.contextmanager
def _log_file(path: Path) -> Iterator[IO[bytes]]:
    """Begun anew where it has grown too long."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        if path.stat().st_size > _MOST_LOG_BYTES:
            path.replace(path.with_suffix(".old.log"))
    with open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        yield file
