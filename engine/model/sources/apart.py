"""`run_apart`: runs one function in a Python process of its own, so that what it imports and allocates goes with it.

Work on weights takes torch and some gigabytes once, and a server that had done it itself would keep them for hours.
The process is told its function on stdin, and tells its progress on stdout in lines of JSON, each of which waits for an
answer: it cleans up and ends as soon as nobody listens, and a little later in any case. Knows nothing of models or of
editors.

Why not multiprocessing: its children run their parent's `__main__` again, inherit its stdout (a protocol's, perhaps),
are not isolated from the user's Python variables, and do not end when their parent is killed.
"""

from __future__ import annotations

import _thread
import contextlib
import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from queue import SimpleQueue
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, Protocol

from engine import errors
from engine.errors import EngineError, ModelError
from engine.sentences import Sentence, as_data, from_data

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.types import ProgressSink

logger = logging.getLogger(__name__)

# Isolated from the user's Python variables, and finding modules where this process finds them, in whatever way it was
# told to.
_START = "import sys; sys.path[:] = sys.argv[1:]; from engine.model.sources.apart import main; main()"
# To glibc: a megabyte and more, such as the weights of one layer of many, goes back to the system once it is freed.
_GIVES_BACK = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
_GRACE_S = 5.0  # for an abandoned process to clear its working folder


class Apart(Protocol):
    """A function of a module, or a `functools.partial` of one, whose arguments can be pickled."""

    def __call__(self, *, progress: ProgressSink) -> None:
        """Does the work, telling `progress` of it."""
        ...


def run_apart(
    call: Apart, *, task: str, progress: ProgressSink, environment: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Calls `call(progress=progress)` in another process and waits for its end.

    What `progress` raises ends the process, at the place where it would have ended the function.

    Args:
        call: Imported anew there by the name of its module: what it needs alone, such as torch, it imports itself.
        task: What it does, for people, such as "prepares the model tiny".
        progress: Called in this process, on this thread.
        environment: Variables of the process beside those of this one.

    Raises:
        EngineError: What the function raises, or `ModelError` where the process ended before it was done.
        OSError: What the function raises.
    """
    with tempfile.TemporaryFile() as words, _started(words, environment) as child:
        try:
            outcome = _follow(child, pickle.dumps(call), progress)
        finally:
            _end(child)
        _log(words, logging.WARNING if outcome is None else logging.INFO)
    if outcome is None:
        raise ModelError(_sentence(task, child.returncode))
    if outcome:
        raise _error_of(*outcome)


def main() -> None:
    """What the other process does."""
    channel = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # whatever a library prints must not get between the lines of ours
    answers: SimpleQueue[bytes] = SimpleQueue()

    def tell(**line: Any) -> None:
        try:
            channel.write(json.dumps(line) + "\n")
            channel.flush()
        except OSError:
            _end_alone()  # nobody is there any more

    def progress(message: str, done: int, total: int | None) -> None:
        tell(progress=[as_data(message), done, total])
        if not answers.get():
            _end_alone()

    call: Apart = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our parent
    signal.signal(signal.SIGINT, _end_alone)
    threading.Thread(target=_listen, args=(answers,), daemon=True).start()
    try:
        call(progress=progress)
    except EngineError as error:
        tell(outcome=[type(error).__name__, as_data(error.sentence)])
    except OSError as error:
        tell(outcome=["OSError", error.errno, error.strerror])
    else:
        tell(outcome=[])


def _listen(answers: SimpleQueue[bytes]) -> None:
    """Hands on what the parent says; after its end, ends this process, be it far from its next progress."""
    while answer := os.read(0, 1):  # past the buffer, whose lock a thread may not hold at the interpreter's end
        answers.put(answer)
    answers.put(b"")
    _thread.interrupt_main()
    time.sleep(_GRACE_S)  # in which the work clears its folder, unless a library is busy in it
    os._exit(1)


def _end_alone(*_: object) -> None:
    """Ends the work at the place where it is, once: what clears up must not be ended too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(1)


def _started(words: IO[bytes], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-I", "-c", _START, *sys.path],
        env={**os.environ, **_GIVES_BACK, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=words,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # Windows would open one
    )


def _follow(child: subprocess.Popen[bytes], call: bytes, progress: ProgressSink) -> list[Any] | None:
    """Answers each line until the last; gives the outcome, or None where the process ended without one."""
    assert child.stdout is not None
    _answer(child, call)
    for text in child.stdout:
        line = json.loads(text, object_hook=from_data)
        if "outcome" in line:
            outcome: list[Any] = line["outcome"]
            return outcome
        progress(*line["progress"])
        _answer(child, b"\n")
    return None


def _answer(child: subprocess.Popen[bytes], data: bytes) -> None:
    assert child.stdin is not None
    with contextlib.suppress(OSError):  # that it has ended is seen by its output
        child.stdin.write(data)
        child.stdin.flush()


def _end(child: subprocess.Popen[bytes]) -> None:
    """Leaves no process behind: one that is not done sees the end of its input, and has some time to clean up."""
    assert child.stdin is not None
    with contextlib.suppress(OSError):
        child.stdin.close()
    try:
        child.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()


def _log(words: IO[bytes], level: int) -> None:
    words.seek(0)
    for line in words.read().decode(errors="replace").splitlines():
        logger.log(level, "%s", line)


def _sentence(task: str, status: int) -> Sentence:
    if status < 0:
        return Sentence(
            "The process that {task} was killed (signal {signal}), most likely because memory ran out; close other "
            "programs, or choose a smaller model.",
            task=task,
            signal=-status,
        )
    return Sentence(
        "The process that {task} failed (exit status {status}); its last words are in the log.",
        task=task,
        status=status,
    )


def _error_of(name: str, *arguments: Any) -> Exception:
    kind = OSError if name == "OSError" else getattr(errors, name, EngineError)
    error: Exception = kind(*arguments)
    return error
