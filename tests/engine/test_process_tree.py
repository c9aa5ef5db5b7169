import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from engine.process_tree import cpu_s_of, end_all

CHILD = "import time; print('there', flush=True); time.sleep(600)"
PARENT = """
import signal, subprocess, sys, time
def leave(*_):
    open(sys.argv[1], "w").close()
    sys.exit()
signal.signal(signal.SIGTERM, leave)
child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
{then}
"""
STAYS = "time.sleep(600)"
HOLDS_ON = "signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
LEAVES = ""


def started(asked: Path, then: str, *, session: bool) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(child=CHILD, then=then), str(asked)],
        stdout=subprocess.PIPE,
        start_new_session=session,
    )
    assert process.stdout is not None
    child = psutil.Process(int(process.stdout.readline()))
    if then == HOLDS_ON:
        process.stdout.readline()
    process.stdout.close()
    return process, child


def is_over(process: psutil.Process) -> bool:
    """Within a while; nobody may be left who would wait for it."""
    gone, alive = psutil.wait_procs([process], timeout=10)
    return bool(gone) or all(each.status() == psutil.STATUS_ZOMBIE for each in alive)


@pytest.mark.parametrize("session", [True, False])
@pytest.mark.parametrize(("grace_s", "is_asked"), [(0.0, False), (20.0, True)])
def test_a_process_ends_with_what_it_has_started(
    tmp_path: Path,
    grace_s: float,
    is_asked: bool,  # noqa: FBT001 - a table
    session: bool,  # noqa: FBT001 - a table
) -> None:
    process, child = started(tmp_path / "asked", STAYS, session=session)

    end_all(process, grace_s=grace_s)

    assert process.returncode is not None
    assert is_over(child)
    assert (tmp_path / "asked").exists() is is_asked


def test_one_that_does_not_leave_when_asked_is_killed(tmp_path: Path) -> None:
    process, child = started(tmp_path / "asked", HOLDS_ON, session=False)

    end_all(process, grace_s=0.2)

    assert process.returncode is not None
    assert is_over(child)


def test_what_a_session_has_left_behind_ends_as_well(tmp_path: Path) -> None:
    process, child = started(tmp_path / "asked", LEAVES, session=True)
    process.wait()

    end_all(process)

    assert is_over(child)


def test_one_that_has_ended_takes_nobody_with_it_who_has_its_number_now(tmp_path: Path) -> None:
    other, child = started(tmp_path / "asked", STAYS, session=False)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    ended.pid = other.pid

    end_all(ended)

    try:
        assert other.poll() is None
        assert child.status() != psutil.STATUS_ZOMBIE
    finally:
        end_all(other)


class Unending(subprocess.Popen[bytes]):
    """One that the system does not bring to an end, as far as it tells."""

    def wait(self, timeout: float | None = None) -> int:
        assert timeout is not None, "somebody waits for ever"
        raise subprocess.TimeoutExpired(self.args, timeout)


def test_nobody_waits_for_ever_for_what_does_not_end() -> None:
    process = Unending([sys.executable, "-c", "import time; time.sleep(600)"])

    end_all(process, grace_s=0.1)

    assert subprocess.Popen.wait(process, 10) != 0


def test_the_work_of_children_counts_whether_they_live_or_not() -> None:
    work = "import time\nwhile time.process_time() < {s}: pass\n"
    code = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work.format(s=0.3)!r}]); "
        f"child = subprocess.Popen([sys.executable, '-c', {(work.format(s=0.3) + 'print(flush=True); input()')!r}], "
        "stdout=subprocess.PIPE, stdin=subprocess.PIPE); child.stdout.readline(); print(flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        own = psutil.Process(process.pid).cpu_times()
        assert cpu_s_of(process.pid) >= own.user + own.system + 0.55
        end_all(process)

    with pytest.raises(psutil.Error):
        cpu_s_of(process.pid)
