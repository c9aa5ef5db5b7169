import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.corpus.datasets import Corpus
from engine.errors import TrainingError
from engine.model.loaded import LoadedModel
from engine.model.reference.eager import backbone_of
from engine.model.reference.trained_exits import load_trained_exits
from engine.training.agreement import judge
from engine.training.exits import ExitTraining, TrainingPlan, train_exits
from engine.training.joint import cxx_compiler
from engine.training.joint_plan import JointPlan
from engine.training.states import block_states, blocks
from tests.engine.training.fakes import code, source_file, tiny_loaded

PLAN = TrainingPlan(train_tokens=6000, validation_tokens=1500, test_tokens=1500)
JOINT = replace(
    PLAN,
    joint_tokens=10_000,
    joint=JointPlan(rank=8, learning_rate=5e-3, batch_blocks=1, text_rows=256, exit_rows=256, vocabulary=97),
)


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


def last_choices(loaded: LoadedModel, corpus: Corpus) -> torch.Tensor:
    """What the last layer says to the test text, [T]."""
    text = list(blocks(corpus.files["test"], loaded.tokenization, max_tokens=1500))
    states = torch.cat([block_states(loaded.model, block.token_ids).last for block in text])
    return torch.tensor(loaded.model.choices(loaded.model.logits(states[None], loaded.model.n_layers)))


def test_training_makes_an_exit_agree_with_the_last_layer_on_text_it_has_not_seen(
    corpus: Corpus, tmp_path: Path
) -> None:
    trained = train_exits(tiny_loaded(), corpus, tmp_path / "trained_exits.safetensors", plan=PLAN)

    assert trained.after[0].agreement.low > trained.before[0].agreement.high
    assert trained.after[-1] == trained.before[-1]


def test_what_is_saved_belongs_to_the_model_and_says_what_it_was_made_of(corpus: Corpus, tmp_path: Path) -> None:
    loaded = tiny_loaded()
    trained = train_exits(loaded, corpus, tmp_path / "trained_exits.safetensors", plan=PLAN)

    info = load_trained_exits(tmp_path / "trained_exits.safetensors", loaded.model.fingerprint).info

    assert info == trained.exits.info
    assert info.corpus_sha256 == corpus.sha256
    assert info.agreement == (round(trained.after[0].agreement.value, 4),)


def test_joint_training_makes_exits_and_the_last_layer_better_and_loads_over_the_base_weights(
    corpus: Corpus, tmp_path: Path
) -> None:
    base, path = tiny_loaded(), tmp_path / "joint.safetensors"
    ridge = train_exits(tiny_loaded(), corpus, tmp_path / "ridge.safetensors", plan=PLAN)
    trained = train_exits(tiny_loaded(), corpus, path, plan=JOINT)
    stored = load_trained_exits(path, base.model.fingerprint)

    assert trained.jointly
    assert trained.after[-1].accuracy.value > trained.before[-1].accuracy.value
    assert trained.after[0].accuracy.value > ridge.after[0].accuracy.value
    stored.adapt(backbone_of(base.model.runner))
    assert stored.fingerprint == trained.exits.fingerprint
    assert judge(base.model, list(blocks(corpus.files["test"], base.tokenization, max_tokens=1500)), (stored,))[0] == (
        trained.after
    )


def test_training_goes_on_from_trained_exits_with_text_that_they_did_not_learn(corpus: Corpus, tmp_path: Path) -> None:
    first = train_exits(tiny_loaded(), corpus, tmp_path / "first.safetensors", plan=JOINT)
    learned: list[int] = []

    further = train_exits(
        tiny_loaded(), corpus, tmp_path / "further.safetensors", plan=JOINT, start=first.exits,
        progress=lambda message, done, total: learned.append(done) if "layers" in message else None,
    )  # fmt: skip

    assert further.before == first.after
    assert further.jointly
    assert further.after[-1].accuracy.value >= further.before[-1].accuracy.value
    assert further.exits.info.train_tokens > first.exits.info.train_tokens
    assert learned[0] == 1


def test_going_on_holds_the_last_layer_at_what_it_says_while_the_exits_learn(corpus: Corpus, tmp_path: Path) -> None:
    first_model = tiny_loaded()
    first = train_exits(first_model, corpus, tmp_path / "first.safetensors", plan=JOINT)

    def gone_on(joint: JointPlan) -> tuple[ExitTraining, float]:
        loaded, plan = tiny_loaded(), replace(JOINT, joint=joint)
        further = train_exits(loaded, corpus, tmp_path / "further.safetensors", plan=plan, start=first.exits)
        same = last_choices(loaded, corpus) == last_choices(first_model, corpus)
        return further, float(same.float().mean())

    joint = replace(JOINT.joint, learning_rate=1.5e-3)
    held, same_held = gone_on(joint.going_on())
    _, same_let_go = gone_on(joint)

    assert held.jointly
    assert same_held > same_let_go
    assert held.after[0].agreement.value > first.after[0].agreement.value
    name = next(iter(first.exits.updates))
    assert [len(exits.updates[name][1]) for exits in (first.exits, held.exits)] == [8, 16]


def test_a_training_that_makes_the_last_layer_worse_leaves_exits_and_layers_as_they_were(
    corpus: Corpus, tmp_path: Path
) -> None:
    first = train_exits(tiny_loaded(), corpus, tmp_path / "first.safetensors", plan=JOINT)
    spoiled = replace(JOINT, joint=replace(JOINT.joint, learning_rate=3.0))

    further = train_exits(tiny_loaded(), corpus, tmp_path / "further.safetensors", plan=spoiled, start=first.exits)

    assert not further.jointly
    assert further.refused is not None
    was, now = (qualities[-1].accuracy.value for qualities in further.refused)
    assert now < was
    assert further.exits.fingerprint == first.exits.fingerprint
    assert further.after == first.after


@pytest.mark.parametrize(
    ("faster", "within"),
    [
        ({"bf16": True}, 0.03),
        pytest.param(
            {"compiled": True},
            0.01,
            marks=[
                pytest.mark.skipif(shutil.which(cxx_compiler()) is None, reason="no C++ compiler"),
                pytest.mark.filterwarnings("ignore"),  # PyTorch's compiler warns of parts of its own
            ],
        ),
    ],
)
def test_what_makes_training_faster_learns_as_well(
    corpus: Corpus, tmp_path: Path, faster: dict[str, bool], within: float
) -> None:
    plainly = train_exits(tiny_loaded(), corpus, tmp_path / "plain.safetensors", plan=JOINT)
    plan = replace(JOINT, joint=replace(JOINT.joint, **faster))
    faster_too = train_exits(tiny_loaded(), corpus, tmp_path / "faster.safetensors", plan=plan)

    for layer in (0, -1):
        assert faster_too.after[layer].accuracy.value == pytest.approx(plainly.after[layer].accuracy.value, abs=within)


def test_without_a_compiler_one_sentence_says_so(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    compiled = replace(JOINT, joint=replace(JOINT.joint, compiled=True))

    with pytest.raises(TrainingError, match=r"needs a C\+\+ compiler, and there is no no-such-compiler"):
        train_exits(tiny_loaded(), corpus, tmp_path / "compiled.safetensors", plan=compiled)


def test_text_that_was_read_is_passed_over(corpus: Corpus) -> None:
    tokenization = tiny_loaded().tokenization
    whole = list(blocks(corpus.files["train"], tokenization, max_tokens=6000))

    first = list(blocks(corpus.files["train"], tokenization, max_tokens=3000))
    rest = list(blocks(corpus.files["train"], tokenization, max_tokens=3000, skip=3000))

    assert [*first, *rest] == whole[: len(first) + len(rest)]


class Killed(BaseException):
    """Stands for a signal in the middle of a run."""


def test_a_killed_training_goes_on_from_its_checkpoint(corpus: Corpus, tmp_path: Path) -> None:
    output = tmp_path / "trained_exits.safetensors"
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
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trained_exits.safetensors", "whole.safetensors"]


def test_a_checkpoint_of_another_run_is_not_used(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "trained_exits.train.checkpoint").write_bytes(b"damaged")
    trained = train_exits(tiny_loaded(), corpus, tmp_path / "trained_exits.safetensors", plan=PLAN)

    assert trained.exits.info.train_tokens > 5000


def test_a_split_without_text_is_told_in_one_sentence(corpus: Corpus, tmp_path: Path) -> None:
    without = Corpus(sha256="", files={**corpus.files, "test": ()})

    with pytest.raises(TrainingError, match="no files"):
        train_exits(tiny_loaded(), without, tmp_path / "trained_exits.safetensors", plan=PLAN)
