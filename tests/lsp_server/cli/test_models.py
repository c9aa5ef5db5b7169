from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from engine.config import EngineConfig
from engine.corpus import datasets
from engine.corpus.datasets import Corpus
from engine.errors import ModelError
from engine.model.loading import load_model
from engine.model.reference.eager import TorchRunner
from lsp_server.cli.app import app
from tests.engine.training.fakes import code, source_file


def test_adding_a_model_makes_it_an_early_exit_model(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = {
        split: tuple(source_file(code(f"{split}{n}")) for n in range(4)) for split in ("train", "validation", "test")
    }
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(datasets, "gather_corpus", lambda **_: Corpus(sha256="c" * 64, files=splits))  # type: ignore[arg-type]

    result = CliRunner().invoke(app, ["models", "add", str(tiny_folder), "--device", "cpu"], catch_exceptions=False)

    loaded = load_model(str(tiny_folder), tiny_folder, EngineConfig(device="cpu", precision="fp32"))
    assert result.exit_code == 0
    assert "of memory while it is prepared" in result.output
    assert "teaching its exits takes about 1 min" in result.output
    assert f"--model {tiny_folder}" in result.output.replace("\n", "")
    assert isinstance(loaded.model.runner, TorchRunner)
    assert loaded.model.runner.trained_exits is not None
    info = loaded.model.runner.trained_exits.info
    assert info.exit_layers == loaded.model.exit_layers
    (card,) = (tmp_path / "data").rglob("trained_exits.md")
    told = card.read_text()
    assert told.startswith(f"---\nbase_model: {info.model}\n")
    assert f"Exits after layers {', '.join(map(str, info.exit_layers))}: a linear map for each; the model's own" in told
    assert f"from {info.train_tokens:,} tokens of python, java" in told
    assert "Apache-2.0, MIT, or the maker's own terms" in told
    assert f"| {loaded.model.n_layers} | 1.000 " in told  # the last layer agrees with itself


def test_exits_that_the_machine_cannot_teach_are_refused_before_anything_is_fetched(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=100_000_000))
    monkeypatch.setattr(datasets, "gather_corpus", lambda **_: pytest.fail("text was gathered"))

    result = CliRunner().invoke(app, ["models", "add", str(tiny_folder), "--device", "cpu"])

    assert isinstance(result.exception, ModelError)
    assert "cannot be taught on this machine's CPU: that takes 0.5 GB of memory, and there are 0.1 GB" in str(
        result.exception
    )


def test_models_are_recommended_with_what_they_would_take() -> None:
    result = CliRunner().invoke(app, ["models", "recommend"], catch_exceptions=False)

    assert result.exit_code == 0
    assert result.output.count("→") <= 1
    assert "JetBrains/Mellum-4b-base" in result.output
    assert "Predicted at full depth" in result.output
