"""What commands share: the bar that shows progress, and what Ctrl-C leaves behind."""

import sys

import pytest

from lsp_server.__main__ import main
from lsp_server.cli.options import progress_bar


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


def test_ctrl_c_ends_a_command_without_a_stack_even_where_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["green-code", "demo"])
    monkeypatch.setattr("lsp_server.cli.app.main", interrupted)
    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 130
