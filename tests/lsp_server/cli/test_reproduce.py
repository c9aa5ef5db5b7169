"""What is refused before anything is loaded; the experiments themselves are tested in `tests/engine/evaluation/`."""

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
