"""The engine's process: it comes once, is nobody's child, outlives no server for long, and can be killed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psutil
import pytest

from engine.config import EngineConfig
from engine.errors import EngineLostError, SharingError
from engine.service.endpoint import Endpoint
from engine.service.opened import open_shared
from engine.types import CompletionRequest, no_progress
from tests.engine.service.hosted import PATIENCE_S, SHARED, Asked, until
from tests.engine.service.processes import engine_process, opened

if TYPE_CHECKING:
    from pathlib import Path

    from engine.service.shared_engine import SharedEngine

pytestmark = pytest.mark.timeout(60)

ASKS = CompletionRequest(prefix="x")
N_AT_ONCE = 64


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def n_sockets(meeting: Path) -> int:
    """How many engines have left a socket in the folder; a named pipe of Windows leaves nothing."""
    return 1 if sys.platform == "win32" else len(list(meeting.glob("*.sock")))


def answered(engine: SharedEngine) -> str:
    return Asked(engine, ASKS).answer().text


def test_servers_that_come_at_once_start_one_engine_and_it_leaves_after_them(meeting: Path) -> None:
    with ThreadPoolExecutor(N_AT_ONCE) as threads:
        engines = list(threads.map(opened, [meeting] * N_AT_ONCE))
        answers = list(threads.map(answered, engines))
    process = engine_process(meeting)

    assert answers == ["next"] * N_AT_ONCE
    assert n_sockets(meeting) == 1
    assert process.ppid() != os.getpid()
    for engine in engines:
        engine.close()
    until(lambda: gone(process))
    # filelock takes its file away on Windows
    assert {path.suffix for path in meeting.iterdir()} - {".lock"} == {".log"}


@pytest.mark.skipif(sys.platform == "win32", reason="there the folder's rights are inherited")
def test_what_it_leaves_on_the_disk_is_the_users_alone(meeting: Path) -> None:
    engine = opened(meeting / "inner")

    modes = [path.stat().st_mode for path in (meeting / "inner", *(meeting / "inner").iterdir())]

    assert [mode & (stat.S_IRWXG | stat.S_IRWXO) for mode in modes] == [0] * 5
    engine.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives priorities to threads")
def test_what_computes_gives_way_and_what_answers_does_not(meeting: Path) -> None:
    engine = opened(meeting)
    process = engine_process(meeting)

    niceness = sorted(os.getpriority(os.PRIO_PROCESS, thread.id) for thread in process.threads())

    assert len(niceness) > 1
    assert niceness[-2] < niceness[-1]  # the one that computes
    engine.close()


def test_a_killed_engine_is_lost_and_the_next_who_comes_starts_another(meeting: Path) -> None:
    engine = opened(meeting)
    held = Asked(engine, CompletionRequest(prefix="hold"))
    killed = engine_process(meeting)

    killed.kill()

    with pytest.raises(EngineLostError):
        held.answer()
    with ThreadPoolExecutor(4) as threads:
        others = list(threads.map(opened, [meeting] * 4))
    assert {answered(other) for other in others} == {"next"}
    assert engine_process(meeting) != killed
    assert n_sockets(meeting) == 1  # what the killed one left is cleared up
    for other in others:
        other.close()


def test_a_killed_server_takes_its_request_along(meeting: Path) -> None:
    command = [sys.executable, "-m", "tests.engine.service.holder", str(meeting), "hold"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline()
            engine = opened(meeting)
            asked = Asked(engine, ASKS)
        finally:
            server.kill()

        assert asked.answer().text == "next"
    engine.close()
    until(lambda: gone(engine_process(meeting)) if list(meeting.glob("*.json")) else True)


@pytest.mark.skipif(sys.platform == "win32", reason="it cannot be stopped there")
def test_an_engine_that_stands_still_keeps_no_thread_but_the_one_that_asks(meeting: Path) -> None:
    engine = opened(meeting)
    process = engine_process(meeting)
    process.suspend()
    begun = threading.Event()

    def give_up() -> None:
        for _ in range(10_000):
            engine.project("/p").clear()
        engine.close()
        begun.set()

    threading.Thread(target=give_up, daemon=True).start()

    assert begun.wait(PATIENCE_S)
    process.resume()
    until(lambda: gone(process))


@pytest.mark.skipif(sys.platform == "win32", reason="it cannot be stopped there")
def test_what_is_asked_while_the_machine_sleeps_is_answered_when_it_wakes(meeting: Path) -> None:
    engine = opened(meeting)
    process = engine_process(meeting)
    process.suspend()
    asked = Asked(engine, ASKS)

    process.resume()

    assert asked.answer().text == "next"
    engine.close()
    until(lambda: gone(process))


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is killed there by a signal")
def test_an_engine_that_is_killed_as_soon_as_it_listens_is_started_again(meeting: Path) -> None:
    engine = open_shared(SHARED, no_progress, folder=meeting, host="tests.engine.service.dying_host", linger_s=0.5)

    assert (meeting / "died").exists()
    assert answered(engine) == "next"
    engine.close()


def test_a_host_that_cannot_start_is_said_in_a_sentence(meeting: Path) -> None:
    with pytest.raises(
        SharingError, match=r"The engine's process cannot be reached; its last words are in .*engine\.log"
    ):
        open_shared(SHARED, no_progress, folder=meeting, host="no.such.module")


@pytest.mark.skipif(sys.platform == "win32", reason="the folder is in the user's own there")
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_not_entered(meeting: Path) -> None:
    os.chown(meeting, 12345, 12345)

    with pytest.raises(SharingError, match="is not this user's own"):
        Endpoint.of(SHARED, meeting)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such links")
def test_neither_is_what_a_link_leads_to(meeting: Path) -> None:
    (meeting / "link").symlink_to(meeting)

    with pytest.raises(SharingError, match="is not this user's own"):
        Endpoint.of(SHARED, meeting / "link")


@pytest.mark.skipif(sys.platform == "win32", reason="there the folder's rights are inherited")
def test_an_open_folder_is_closed_to_others(meeting: Path) -> None:
    meeting.chmod(0o777)

    Endpoint.of(SHARED, meeting)

    assert stat.S_IMODE(meeting.stat().st_mode) == 0o700


def test_who_asks_for_something_else_meets_elsewhere(meeting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        Endpoint.of(config, meeting).name
        for config in (SHARED, EngineConfig(model="other"), EngineConfig(threads=1), EngineConfig(shared=False))
    ]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    names.append(Endpoint.of(SHARED, meeting).name)
    monkeypatch.setattr("engine.service.endpoint.VERSION", "0.0.1")
    names.append(Endpoint.of(SHARED, meeting).name)
    monkeypatch.setattr("engine.service.endpoint.WRITTEN_NS", 1)  # the same version, installed anew
    names.append(Endpoint.of(SHARED, meeting).name)

    assert len(set(names)) == 6  # whether it is shared is no difference
    assert names[0] == names[3]


def test_a_folder_named_from_where_the_server_works_is_another_elsewhere(
    meeting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        (folder / "model").mkdir(parents=True)
        monkeypatch.chdir(folder)
        names += [Endpoint.of(EngineConfig(model=model), meeting).name for model in ("model", "\0", str(tmp_path))]

    assert names[0] != names[3]
    assert (names[1], names[2]) == (names[4], names[5])
