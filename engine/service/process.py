"""The process of the shared engine: `main`, started by `engine.service.opened` with its parameters as JSON.

Everything that is the process's own is here: whose child it is, its priority, its streams, its log. It imports the
engine when somebody asks for it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from engine.memory import give_memory_back, keep_one_arena
from engine.service import wire
from engine.service.endpoint import Endpoint
from engine.service.host import EngineHost

if TYPE_CHECKING:
    from engine.config import EngineConfig
    from engine.engine import Engine
    from engine.service.host import Load
    from engine.types import ProgressSink

NICENESS = 10  # below the editor and the servers
_MOST_LOG_BYTES = 1 << 20  # that one engine writes

logger = logging.getLogger(__name__)


def main() -> None:
    """Serves the real engine."""
    run(_load)


def run(load: Load) -> None:
    """Serves an engine until no server has been there for long."""
    parameters = json.loads(sys.argv[1])
    _leave_the_parent(parameters)
    faulthandler.enable()
    keep_one_arena()
    endpoint = Endpoint(
        folder=Path(parameters["folder"]),
        name=parameters["name"],
        working_folder=Path(parameters["working_folder"]),
        log=Path(parameters["log"]),
    )
    host = EngineHost(load, endpoint.listen(), linger_s=parameters["linger_s"], at_rest=give_memory_back)
    _log_to(host)
    host.open_door()
    os.write(1, b"listening\n")
    os.dup2(2, 1)
    _give_way()  # behind the door's thread: what reads and writes messages keeps the priority it has
    host.serve()
    logging.shutdown()
    os._exit(0)  # threads that wait for a message of somebody who is gone keep nothing up


def _load(config: EngineConfig, progress: ProgressSink) -> Engine:
    from engine.engine import load_engine

    return load_engine(config, progress=progress)


def _leave_the_parent(parameters: dict[str, object]) -> None:
    """Becomes nobody's child: editors end their server with all its children, of which others need this one."""
    if sys.platform != "win32":
        if os.fork():
            os._exit(0)
    elif not parameters.get("has_left"):
        subprocess.Popen(  # noqa: S603 - this very process once more
            [*sys.orig_argv[:-1], json.dumps({**parameters, "has_left": True})],
            stdin=subprocess.DEVNULL,
            stdout=1,
            stderr=2,
            creationflags=subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP,
        )
        os._exit(0)


def _give_way() -> None:
    """Lowers the priority of the thread that computes and of those it starts, or of all where threads have none."""
    with contextlib.suppress(OSError, psutil.Error):
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        elif sys.platform == "win32":
            psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            os.nice(NICENESS)


def _log_to(host: EngineHost) -> None:
    """Servers hear what the engine logs; what is grave stands in a file too, with its trace."""
    file = _BoundedHandler()
    file.setLevel(logging.WARNING)
    file.setFormatter(logging.Formatter(f"%(asctime)s {os.getpid()} %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(file)
    engine_log = logging.getLogger("engine")
    engine_log.setLevel(logging.INFO)
    engine_log.addHandler(_ServersLog(host))


class _BoundedHandler(logging.StreamHandler):  # type: ignore[type-arg] # generic in stubs alone
    """stderr, up to a length."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self._left = _MOST_LOG_BYTES

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the record where there is room."""
        self._left -= len(self.format(record))
        if self._left > 0:
            super().emit(record)


class _ServersLog(logging.Handler):
    """Tells all servers, without traces."""

    def __init__(self, host: EngineHost) -> None:
        super().__init__()
        self._host = host

    def emit(self, record: logging.LogRecord) -> None:
        """Hands the record over."""
        text = record.getMessage()
        self._host.tell_all({"is": wire.LOG, "name": record.name, "level": record.levelno, "text": text})
