"""What is refused before anything is loaded; the experiments themselves are tested in `tests/engine/evaluation/`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.errors import ConfigError
from lsp_server.books.ledger import LEDGER_FILE, Ledger
from lsp_server.cli.app import app
from lsp_server.cli.reproduce import _bins
from tests.fakes import fake_completion


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "green-code"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["decoding-energy", "--prompt-tokens", "16,many"], "In '16,many' there should be whole numbers above 1"),
        (["decoding-energy", "--human-eval", "missing.jsonl"], "The benchmark missing.jsonl cannot be read"),
        (["energy-considerations", "--requests", "ledger"], "There is no energy ledger yet"),
        (["energy-considerations", "--requests", "missing.csv"], "missing.csv cannot be read as requests"),
        (["energy-considerations", "--batch-sizes", "0"], "In '0' there should be whole numbers above 1"),
    ],
)
def test_what_means_nothing_is_refused_before_anything_is_loaded(arguments: list[str], sentence: str) -> None:
    result = CliRunner().invoke(app, ["reproduce", *arguments])

    assert isinstance(result.exception, ConfigError)
    assert str(result.exception).startswith(sentence)


def test_an_experiment_is_run_reported_and_gone_on_with(tiny_folder: Path, tmp_path: Path) -> None:
    problem = {
        "task_id": "HumanEval/0",
        "prompt": "def add(a, b):\n",
        "canonical_solution": "    return a + b\n",
        "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
        "entry_point": "add",
    }
    (tmp_path / "problems.jsonl").write_text(json.dumps(problem) + "\n")
    output = tmp_path / "report"
    arguments = [
        *("reproduce", "decoding-energy", "--model", str(tiny_folder), "--device", "cpu", "--precision", "fp32"),
        *("--threads", "1", "--prompt-tokens", "4,64", "--rounds", "2", "--max-new-tokens", "8", "--problems", "1"),
        *("--human-eval", str(tmp_path / "problems.jsonl"), "--run-programs", "--output", str(output)),
    ]

    first = CliRunner().invoke(app, arguments, catch_exceptions=False)
    kept = [(output / name).read_text() for name in ("phases.jsonl", "answers.jsonl")]
    again = CliRunner().invoke(app, arguments, catch_exceptions=False)

    assert "a token behind 64 is dearer than behind 4 | 1.3 % to 51.8 %" in first.stdout
    assert "pass@1, ended with the function | not affected | 0 of 1" in first.stdout
    assert [(output / name).read_text() for name in ("phases.jsonl", "answers.jsonl")] == kept
    assert again.stdout == first.stdout
    assert (output / "reproduction.html").read_text().count("<svg") == 2


def test_a_workload_may_be_the_users_own_requests(data_folder: Path) -> None:
    ledger = Ledger(data_folder / LEDGER_FILE)
    for name in ("a", "b"):
        ledger.add("one", name, fake_completion("four"))
    ledger.close()

    name, bins = _bins("ledger")

    completion = fake_completion("four")
    assert name == "your own ledger"
    assert [(each.prompt_tokens, each.new_tokens, each.requests) for each in bins] == [
        (completion.prompt_tokens, len(completion.tokens), 2)
    ]
