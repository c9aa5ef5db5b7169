import os
import subprocess

import psutil
import pytest

from engine import process_tree
from engine.evaluation import programs


@pytest.mark.parametrize(
    ("program", "is_well"),
    [
        ("assert 1 + 1 == 2", True),
        ("assert 1 + 1 == 3", False),
        ("x = (", False),
        ("import socket; socket.socket()", False),
        ("import os; assert not os.environ.get('HOME')", True),
        ("import os; assert not os.listdir('.')", True),
        ("print('\ud800')", True),  # no text of a person, but what a model may say
    ],
)
def test_a_program_ends_well_where_nothing_fails(program: str, is_well: bool) -> None:  # noqa: FBT001 - a table
    assert programs.ends_well(program) is is_well


def test_what_a_program_leaves_behind_is_killed_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []

    def end_all(process: subprocess.Popen[bytes]) -> None:
        groups.append(process.pid)
        process_tree.end_all(process)

    monkeypatch.setattr(programs, "end_all", end_all)

    assert programs.ends_well("import os, time\nif os.fork() == 0:\n    time.sleep(60)\n")

    left = [process for process in psutil.process_iter() if os.getpgid(process.pid) in groups]
    _, alive = psutil.wait_procs(left, timeout=5)
    assert not alive
