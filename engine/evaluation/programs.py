"""Runs a program that a language model wrote, and says whether it ends well. Knows no benchmark.

Each runs in an interpreter of its own, in an empty folder, without the user's packages and environment, with its
sockets taken away, and is killed with all that it started at a limit of time or memory. That holds off accidents, not
malice; whoever wants more runs the command in a container.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from engine.process_tree import end_all

_TIME_LIMIT_S = 10
_MEMORY_BYTES = 1 << 30
_NEEDED = ("SYSTEMROOT",)  # by Windows, to import `socket`

# No file contents, no sockets, bounded memory and time; then the program itself, from stdin.
_GUARD = f"""
import socket, sys
try:
    import resource
except ImportError:  # Windows has no such limits
    pass
else:
    for limit, amount in ((resource.RLIMIT_AS, {_MEMORY_BYTES}), (resource.RLIMIT_CPU, {_TIME_LIMIT_S}),
                          (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(limit, (amount, amount))
def refused(*_, **__):
    raise OSError("no network here")
socket.socket = socket.create_connection = socket.getaddrinfo = refused
exec(compile(sys.stdin.read(), "program", "exec"), {{"__name__": "__main__"}})
"""


def ends_well(program: str) -> bool:
    """Whether the program comes to its end in time and without an error."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(  # noqa: S603 - the purpose of this module
            [sys.executable, "-I", "-S", "-c", _GUARD],
            stdin=subprocess.PIPE,
            cwd=folder,
            env={name: os.environ[name] for name in _NEEDED if name in os.environ},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.communicate(program.encode(errors="replace"), timeout=_TIME_LIMIT_S)
        except subprocess.TimeoutExpired:
            return False
        finally:
            end_all(process)
        return process.returncode == 0
