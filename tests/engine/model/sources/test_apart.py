"""A function in a process of its own: what comes back of it, and that nothing stays behind."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from engine.errors import EngineError, ModelCorruptError, ModelError
from engine.model.sources.apart import run_apart
from engine.types import ProgressSink, no_progress


def step_by_step(folder: Path, steps: int, *, progress: ProgressSink) -> None:
    (folder / "pid").write_text(str(os.getpid()))
    work = folder / "work"
    work.mkdir()
    try:
        for done in range(steps):
            progress("Working", done, steps)
        (folder / "done").touch()
    finally:
        work.rmdir()


def fail(kind: str, *, progress: ProgressSink) -> None:
    raise {
        "engine": ModelCorruptError("It is damaged."),
        "disk": OSError(28, "No space left"),
        "fault": ZeroDivisionError("by zero"),
    }[kind]


def chat(*, progress: ProgressSink) -> None:
    print("printed", flush=True)  # noqa: T201 - as libraries do
    os.write(1, b"written")
    progress("Chatting", 1, None)


def die(*, progress: ProgressSink) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


ROOT = Path(__file__).parents[4]


class GivenUpError(Exception):
    """What the sink of a cancelled load raises."""


def test_it_runs_elsewhere_and_its_progress_is_told_here(tmp_path: Path) -> None:
    told = []

    run_apart(
        partial(step_by_step, tmp_path, 3),
        task="works",
        progress=lambda *step: told.append(step),
    )

    assert told == [("Working", 0, 3), ("Working", 1, 3), ("Working", 2, 3)]
    assert (tmp_path / "done").exists()
    assert int((tmp_path / "pid").read_text()) != os.getpid()


def test_who_gives_up_leaves_no_process_and_no_half_work(tmp_path: Path) -> None:
    def give_up(message: str, done: int, total: int | None) -> None:
        if done == 1:
            raise GivenUpError

    with pytest.raises(GivenUpError):
        run_apart(partial(step_by_step, tmp_path, 10**9), task="works", progress=give_up)

    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
    assert not (tmp_path / "work").exists()
    assert not (tmp_path / "done").exists()


def work_long(folder: Path, how: str, *, progress: ProgressSink) -> None:
    work = folder / "work"
    work.mkdir()
    try:
        (folder / "pid").write_text(str(os.getpid()))
        deadline_s = time.monotonic() + 60
        while how == "in Python" and time.monotonic() < deadline_s:
            sum(range(1000))  # an empty loop that a signal ends skips its `finally` in Python 3.13.0
        hashlib.pbkdf2_hmac("sha256", b"", b"", 500_000_000)  # minutes in which no Python runs
    finally:
        work.rmdir()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("how", ["in Python", "in a library"])
def test_it_does_not_outlive_who_asked_though_it_is_far_from_its_next_progress(tmp_path: Path, how: str) -> None:
    script = (
        "import sys; from functools import partial; from pathlib import Path; from tests.engine.model.sources import "
        "test_apart as t; t.run_apart(partial(t.work_long, Path(sys.argv[1]), sys.argv[2]), task='', "
        "progress=t.no_progress)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path), how], cwd=ROOT)
    while not ((tmp_path / "pid").exists() and (pid := (tmp_path / "pid").read_text())):
        assert parent.poll() is None
    child = psutil.Process(int(pid))

    parent.kill()
    parent.wait()

    child.wait(timeout=20)
    assert (tmp_path / "work").exists() == (how == "in a library")


@pytest.mark.parametrize(
    ("kind", "expected"), [("engine", ModelCorruptError("It is damaged.")), ("disk", OSError(28, "No space left"))]
)
def test_an_error_is_raised_here_as_it_was_there(kind: str, expected: Exception) -> None:
    with pytest.raises(type(expected)) as raised:
        run_apart(partial(fail, kind), task="fails", progress=no_progress)

    assert raised.value.args == expected.args


def test_a_fault_is_one_sentence_here_and_the_rest_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ModelError, match=r"^The process that fails failed \(exit status 1\).*in the log\.$"):
        run_apart(partial(fail, "fault"), task="fails", progress=no_progress)

    assert "ZeroDivisionError: by zero" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_process_is_one_sentence() -> None:
    with pytest.raises(EngineError, match=r"^The process that works was killed \(signal 9\), most likely because"):
        run_apart(die, task="works", progress=no_progress)


def test_what_libraries_print_is_no_progress(capfd: pytest.CaptureFixture[str]) -> None:
    told = []

    run_apart(chat, task="chats", progress=lambda *step: told.append(step))

    assert told == [("Chatting", 1, None)]
    assert capfd.readouterr().out == ""
