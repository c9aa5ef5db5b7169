"""`IgnoreProcess`: a process kept open that says which pattern of a .gitignore decides about a file.

How git is called, so that nothing a repository's configuration names is run, stands here too. It keeps no answers.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Stamp = tuple[int, ...]
"""What tells one content of a file from another."""

MAX_AGE_S = 60.0  # of an answer, and of a process: an included configuration, for one, is not looked at

_FIELDS = 4  # of an answer
_MAX_ANSWER_BYTES = 1 << 20
_END_S = 1.0  # within which a killed process is gone

# No program of the repository's own: a monitor of files, hooks, or a transport for objects it lacks.
SAFE_OPTIONS = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "--no-pager")
_SAFE_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_FLUSH": "1",
    "LC_ALL": "C",
}
# Those that would name another repository, as they do in a server that a hook has started.
_MISLEADING = frozenset(
    {
        *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"),
        *("GIT_NAMESPACE", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG"),
        *("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_NOGLOB_PATHSPECS"),
        *("GIT_TRACE", "GIT_TRACE2", "GIT_TRACE2_EVENT", "GIT_TRACE2_PERF"),
    }
)


class LateError(Exception):
    """An answer that did not come in time."""


class RefusedError(Exception):
    """Git ended instead of answering."""


class IgnoreProcess:
    """A process that answers as `git check-ignore --stdin -z -v -n` does, and ends when this one is gone.

    It reads each list once, so it must be ended when one has changed: `stamps` is what it may have read.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.command = command
        self.stamps: dict[Path, Stamp] = {}
        self._started_s = time.monotonic()
        # What it says of lists it cannot read is not for people.
        self._process = subprocess.Popen(  # noqa: S603 - git, with its options made safe
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
            env=safe_environment(),
        )  # fmt: skip

    def is_valid_for(self, stamps: Mapping[Path, Stamp]) -> bool:
        """True while it runs, is not old, and nothing that it may have read has changed."""
        unchanged = all(self.stamps.get(file, stamp) == stamp for file, stamp in stamps.items())
        return self._process.poll() is None and time.monotonic() - self._started_s < MAX_AGE_S and unchanged

    def match(self, path: Path, limit_s: float) -> str:
        """The pattern that decides about a file; "" where none does.

        Raises:
            LateError: It took too long, and was ended.
            RefusedError: It ended by itself.
        """
        is_late = threading.Event()

        def give_up() -> None:
            is_late.set()
            self._process.kill()

        timer = threading.Timer(limit_s, give_up)
        timer.daemon = True
        timer.start()
        try:
            fields = self._ask(os.fsencode(path))
        except OSError:
            fields = []
        finally:
            timer.cancel()
        if len(fields) < _FIELDS:
            raise LateError if is_late.is_set() else RefusedError(f"{self.command[0]} ended")
        _, _, pattern, *_ = fields
        return os.fsdecode(pattern)

    def end(self) -> None:
        """Ends it at once."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _ask(self, path: bytes) -> Sequence[bytes]:
        """The list, the line, the pattern and the path; fewer where it ended."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(path + b"\0")
        answer = b""
        while answer.count(b"\0") < _FIELDS and len(answer) < _MAX_ANSWER_BYTES:
            chunk = os.read(stdout.fileno(), 1 << 16)
            if not chunk:
                return ()
            answer += chunk
        return answer.split(b"\0")[:_FIELDS] if answer.endswith(b"\0") else ()


def safe_environment() -> dict[str, str]:
    """For git: without what leads it elsewhere or makes it wait."""
    own = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    return {**own, **_SAFE_ENVIRONMENT}


def find_git() -> tuple[str, ...]:
    """Git, from absolute folders of PATH alone: a workspace must not bring its own."""
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if Path(folder).is_absolute()]
    git = shutil.which("git", path=os.pathsep.join(folders))
    return (git,) if git else ()
