from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.errors import TrainingError
from engine.model.shortcuts import load_shortcuts
from engine.training.datasets import Corpus
from engine.training.exits import TrainingPlan, train_exits
from tests.engine.training.fakes import code, source_file, tiny_loaded

PLAN = TrainingPlan(train_tokens=6000, distilled_tokens=4096, epochs=2, validation_tokens=1500, test_tokens=1500)


@pytest.fixture
def corpus() -> Corpus:
    return Corpus(
        sha256="c" * 64,
        files={
            "train": tuple(source_file(code(f"train{n}")) for n in range(12)),
            "validation": tuple(source_file(code(f"check{n}")) for n in range(3)),
            "test": tuple(source_file(code(f"test{n}")) for n in range(3)),
        },
    )


def test_training_makes_an_exit_agree_with_the_last_layer_on_text_it_has_not_seen(
    corpus: Corpus, tmp_path: Path
) -> None:
    trained = train_exits(tiny_loaded(), corpus, tmp_path / "shortcuts.safetensors", plan=PLAN)

    assert trained.after[0].agreement.low > trained.before[0].agreement.high
    assert trained.after[-1] == trained.before[-1]


def test_what_is_saved_belongs_to_the_model_and_says_what_it_was_made_of(corpus: Corpus, tmp_path: Path) -> None:
    loaded = tiny_loaded()
    trained = train_exits(loaded, corpus, tmp_path / "shortcuts.safetensors", plan=PLAN)

    info = load_shortcuts(tmp_path / "shortcuts.safetensors", loaded.model.fingerprint).info

    assert info == trained.shortcuts.info
    assert info.corpus_sha256 == corpus.sha256
    assert info.agreement == (round(trained.after[0].agreement.mean, 4),)


def test_an_exit_that_distillation_does_not_help_keeps_its_ridge_solution(corpus: Corpus, tmp_path: Path) -> None:
    without = replace(PLAN, distilled_tokens=0)
    ridge = train_exits(tiny_loaded(), corpus, tmp_path / "ridge.safetensors", plan=without)
    trained = train_exits(tiny_loaded(), corpus, tmp_path / "distilled.safetensors", plan=PLAN)

    assert ridge.distilled == ()
    for exit_, affine in trained.shortcuts.maps.items():
        assert (exit_ in trained.distilled) != torch.equal(affine[0], ridge.shortcuts.maps[exit_][0])


class Killed(BaseException):
    """Stands for a signal in the middle of a run."""


def test_a_killed_training_goes_on_from_its_checkpoint(corpus: Corpus, tmp_path: Path) -> None:
    output = tmp_path / "shortcuts.safetensors"
    whole = train_exits(tiny_loaded(), corpus, tmp_path / "whole.safetensors", plan=PLAN)
    seen: list[str] = []

    def kill_while_judging(message: str, done: int, total: int | None) -> None:
        if message == "Judging the exits":
            raise Killed

    with pytest.raises(Killed):
        train_exits(tiny_loaded(), corpus, output, plan=PLAN, progress=kill_while_judging)
    resumed = train_exits(
        tiny_loaded(), corpus, output, plan=PLAN, progress=lambda message, done, total: seen.append(message)
    )

    assert "Training the exits" not in seen
    assert resumed.after == whole.after
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shortcuts.safetensors", "whole.safetensors"]


def test_a_checkpoint_of_another_run_is_not_used(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "shortcuts.train.checkpoint").write_bytes(b"damaged")
    trained = train_exits(tiny_loaded(), corpus, tmp_path / "shortcuts.safetensors", plan=PLAN)

    assert trained.shortcuts.info.train_tokens > 5000


def test_a_split_without_text_is_told_in_one_sentence(corpus: Corpus, tmp_path: Path) -> None:
    without = Corpus(sha256="", files={**corpus.files, "test": ()})

    with pytest.raises(TrainingError, match="no files"):
        train_exits(tiny_loaded(), without, tmp_path / "shortcuts.safetensors", plan=PLAN)
