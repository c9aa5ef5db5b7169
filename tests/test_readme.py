"""What the documents promise: the commands are the ones that CI runs, the options exist, the links lead somewhere.

And what the code promises of the log: the headings that it sends its readers to.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.model.families import FAMILIES, Family
from lsp_server.cli.app import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
JUDGED = (ROOT / "engine" / "evaluation" / "README.md").read_text(encoding="utf-8")


def commands(document: str) -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", document, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


COMMANDS = commands(README)
GREEN_CODE = [
    line.split("green-code ", 1)[1].split("#")[0].split()
    for line in [*COMMANDS, *commands(JUDGED)]
    if "green-code " in line
]


def test_the_first_command_ends_in_the_demo() -> None:
    assert COMMANDS[0].endswith("green-code demo")
    assert "-c constraints.txt" in COMMANDS[0]


def test_ci_runs_the_second_command() -> None:
    assert COMMANDS[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("arguments", GREEN_CODE, ids=" ".join)
def test_every_command_and_option_exists(arguments: list[str]) -> None:
    words = [word for word in arguments if re.fullmatch(r"[a-z]+(-[a-z]+)*", word)][:2]
    nested = words[0] in {"bench", "energy", "models", "reproduce", "train"}
    command = words[: 2 if nested else 1]

    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})

    assert result.exit_code == 0
    for option in (word for word in arguments if word.startswith("--")):
        assert option in result.output


@pytest.mark.parametrize(
    ("sentence", "families"),
    [
        (r"any (.*?) model works", FAMILIES.values()),
        (r"run (.*?) models in kernels", [each for each in FAMILIES.values() if "native" in each.runtimes]),
    ],
)
def test_the_families_named_are_those_supported(sentence: str, families: Iterable[Family]) -> None:
    found = re.search(sentence, README)

    assert found is not None
    named = re.split(r", | or | and ", found[1])
    assert [*named] == [family.title for family in families]


DOCUMENTS = [
    path
    for pattern in ("*.md", ".github/*.md", "engine/**/*.md", "findings/*.md", "vscode-extension/*.md")
    for path in sorted(ROOT.glob(pattern))
]
LINKS = [
    (document, target)
    for document in DOCUMENTS
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("document", "target"), LINKS, ids=lambda value: str(value).removeprefix(f"{ROOT}/"))
def test_every_link_leads_somewhere(document: Path, target: str) -> None:
    assert (document.parent / target).exists()


HEADINGS = re.findall(r"^#+ (.+)$", (ROOT / "engine" / "LOG.md").read_text(encoding="utf-8"), re.MULTILINE)
IN_THE_LOG = [
    (path, reference)
    for folder in ("engine", "lsp_server", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
    # One line of text, whatever comments and indentation the reference is broken by.
    for reference in re.findall(
        r"engine/LOG\.md\b.{0,130}", re.sub(r"\s*\n\s*#?\s*", " ", path.read_text(encoding="utf-8"))
    )
    if path != Path(__file__)
]


@pytest.mark.parametrize(("path", "reference"), IN_THE_LOG, ids=lambda value: str(value).removeprefix(f"{ROOT}/")[:60])
def test_the_code_names_a_heading_of_the_log(path: Path, reference: str) -> None:
    named = re.match(r'engine/LOG\.md, "([^"]+)"', reference)

    assert named is not None, reference
    assert named[1] in HEADINGS


def test_the_code_sends_its_readers_to_the_log() -> None:
    assert IN_THE_LOG
