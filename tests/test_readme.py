"""The README's promises: its commands are the ones that CI runs, its options exist, its files are there."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lsp_server.cli.app import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL) for line in block.splitlines() if line
]
GREEN_CODE = [line.split("green-code ", 1)[1].split("#")[0].split() for line in COMMANDS if "green-code " in line]


def test_the_first_command_ends_in_the_demo() -> None:
    assert COMMANDS[0].endswith("green-code demo")
    assert "torch==2.13.0" in COMMANDS[0]


def test_ci_runs_the_second_command() -> None:
    assert COMMANDS[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("arguments", GREEN_CODE, ids=" ".join)
def test_every_command_and_option_exists(arguments: list[str]) -> None:
    words = [word for word in arguments if re.fullmatch(r"[a-z]+", word)][:2]
    nested = words[0] in {"bench", "models", "train"}
    command = words[: 2 if nested else 1]

    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})

    assert result.exit_code == 0
    for option in (word for word in arguments if word.startswith("--")):
        assert option in result.output


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?:|#)([^)]+)\)", README))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


@pytest.mark.parametrize("path", re.findall(r"^    (\S+)", README.partition("## Files")[2], re.MULTILINE))
def test_every_file_it_names_is_there(path: str) -> None:
    assert (ROOT / path).exists()
