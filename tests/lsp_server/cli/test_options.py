"""What commands share: the bar that shows progress, what options may be, and how a command ends."""

import errno
import os
import platform
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.config import VERSION
from engine.errors import ConfigError
from lsp_server.__main__ import main
from lsp_server.cli.app import app, tell
from lsp_server.cli.options import moment, progress_bar


@pytest.mark.parametrize(
    ("done", "total", "shown"),
    [(1, 2, "1/2"), (46_450_000, 92_900_000, "46.5 MB of 92.9 MB"), (0, None, "")],
    ids=["steps", "bytes", "no end in sight"],
)
def test_steps_are_not_called_bytes(
    done: int, total: int | None, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with progress_bar() as progress:
        progress("Copying the weights", done, total)
    bar = capsys.readouterr().err

    assert "Copying the weights" in bar
    assert shown in bar
    assert "bytes" not in bar
    assert ("/" in bar) == (shown == "1/2")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_without_the_signs_gets_others_for_them(encoding: str, tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def area(radius):\n    return \n")
    command = [sys.executable, "-m", "lsp_server", "complete", f"{tmp_path / 'app.py'}:2:12"]

    done = subprocess.run(
        [*command, "--model", str(tiny_folder), "--device", "cpu", "--precision", "fp32", "--green-mode", "0"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        check=False,
    )

    assert (done.returncode, b"fault" in done.stderr) == (0, False), done.stderr
    assert b"the layers it took" in done.stdout


def test_a_full_disk_is_no_fault_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    fault = "This is a fault of Green Code (OSError: [Errno 9] Bad file descriptor)."
    tell(OSError(errno.ENOSPC, "No space left on device"))
    tell(PermissionError(errno.EACCES, "Permission denied", "/a/file"))
    tell(OSError(errno.EBADF, "Bad file descriptor"))

    assert capsys.readouterr().err.splitlines() == [
        "green-code: The output cannot be written: No space left on device.",
        "green-code: /a/file cannot be used: Permission denied.",
        f"green-code: {fault} Set GREEN_CODE_TRACE=1 to see where, and report it.",
    ]


def test_the_version_is_told() -> None:
    told = CliRunner().invoke(app, ["--version"])

    assert (told.exit_code, told.stdout) == (0, f"Green Code {VERSION}, Python {platform.python_version()}\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [("2026-11-30", datetime(2026, 11, 30)), (" 2026-11-30T14:00", datetime(2026, 11, 30, 14))],  # noqa: DTZ001 - local
)
def test_a_day_may_have_a_time(text: str, told: datetime) -> None:
    assert moment(text) == told


@pytest.mark.parametrize("text", ["", "yesterday", "30.11.2026", "2026-13-01"])
def test_what_is_no_day_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is no day; write it as year, month and day, such as 2026-11-30"):
        moment(text)


@pytest.mark.parametrize(
    "command",
    [
        ["calibrate", "--power-w", "9", "--html"],
        ["energy", "report", "--html"],
        ["bench", "decode", "--output"],
        ["bench", "words", "--output"],
        ["train", "exits", "--output"],
        ["train", "policy", "--output"],
        ["train", "acceptance", "--output"],
        ["train", "project", "--output"],
    ],
    ids=" ".join,
)
def test_a_file_that_cannot_be_written_is_refused_before_the_work(command: list[str], tmp_path: Path) -> None:
    told = CliRunner().invoke(app, [*command, str(tmp_path)])
    below_a_file = tmp_path / "file" / "page"
    below_a_file.parent.write_text("")

    assert str(told.exception) == f"{tmp_path} is a folder; name a file in it."
    told = CliRunner().invoke(app, [*command, str(below_a_file)])
    assert str(told.exception).endswith(f"{below_a_file.parent} is no folder that you may write into.")


@pytest.mark.parametrize("command", [["evaluate"], ["reproduce", "green-code"], ["bench", "replay"]], ids=" ".join)
def test_a_folder_that_is_a_file_is_refused_before_the_work(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    told = CliRunner().invoke(app, [*command, "--output", str(tmp_path / "file")])

    assert str(told.exception) == f"{tmp_path / 'file'} is a file; name a folder."


def test_a_replay_of_nothing_is_refused() -> None:
    told = CliRunner().invoke(app, ["bench", "replay", "--arms", ""])

    assert str(told.exception) == "There is nothing to replay: name an arm, such as --arms now."


def test_ctrl_c_ends_a_command_without_a_stack_even_where_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["green-code", "demo"])
    monkeypatch.setattr("lsp_server.cli.app.main", interrupted)
    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 130
