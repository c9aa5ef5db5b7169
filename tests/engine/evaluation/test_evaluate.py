import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.corpus.source_text import SourceFile
from engine.energy.cost_model import default_cost_model
from engine.errors import ConfigError
from engine.evaluation.arms import all_arms
from engine.evaluation.evaluate import Evaluation, evaluate
from engine.evaluation.places import sample_places
from engine.evaluation.runs import run_arms
from engine.model.loaded import LoadedModel
from engine.policy.learned import POLICY, save_policy
from engine.text import TextDecoder
from tests.engine.model.fast_models import with_exits
from tests.engine.policy.tiny_policy import tiny_policy
from tests.engine.training.fakes import LetterTokenization, code, source_file, tiny_loaded
from tests.tiny_models import early_exit_model, tiny_model

pytestmark = pytest.mark.usefixtures("own_data")

SMALL = Evaluation(protocol="kept", n_places=6, seeds=2, max_new_tokens=8, arms=("all",))


@pytest.fixture
def loaded() -> LoadedModel:
    return replace(tiny_loaded(), model=early_exit_model(tiny_model("llama"), exit_layers=range(1, 6)))


@pytest.fixture
def with_policy(loaded: LoadedModel, own_data: Path) -> None:
    model = loaded.model
    policy = tiny_policy(
        check_layers=(2, 4), fingerprint=model.fingerprint, exits_fingerprint=model.exits_fingerprint, seed=1
    )
    save_policy(policy, POLICY.own_path("tiny"))


def files() -> list[SourceFile]:
    java = [replace(source_file(code(f"java{n}"), package=f"p{n}"), language="java") for n in range(3)]
    return [*(source_file(code(f"test{n}"), package=f"q{n}") for n in range(3)), *java]


@pytest.mark.usefixtures("with_policy")
def test_an_evaluation_compares_every_arm_at_every_place(loaded: LoadedModel, tmp_path: Path) -> None:
    text = evaluate(loaded, files(), SMALL, tmp_path / "report")

    numbers = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    arms = [row["arm"] for row in numbers["table"]]
    assert text == (tmp_path / "report" / "evaluation.md").read_text()
    assert (tmp_path / "report" / "evaluation.png").stat().st_size > 10_000
    assert {"full-depth", "fixed:3", "confidence:0.7", "random~green:60", "green:0", "green:100"} <= set(arms)
    assert {"fixed:4+stop@50", "green:50-stop", "green:0+exits", "oracle"} <= set(arms)
    parts = ("listing", "lookup", "zero", "end", "exits")
    assert {f"full-depth+{part}" for part in parts} | {f"green:20-{part}" for part in parts} <= set(arms)
    assert arms[0] == "full-depth"
    assert [arm for arm in arms if arm.endswith("0") and arm.startswith("green:")] == [
        f"green:{mode}" for mode in range(0, 101, 10)
    ]
    assert len(numbers["runs"]) == len(arms) * 6
    assert {place["seed"] for place in numbers["places"]} == {0, 1}
    assert {place["language"] for place in numbers["places"]} == {"python", "java"}


@pytest.mark.usefixtures("with_policy")
def test_lossless_arms_say_what_full_depth_says(loaded: LoadedModel, tmp_path: Path) -> None:
    lossless = ("green:0", "green:0+exits", "fixed:*-verified")
    evaluate(loaded, files(), replace(SMALL, arms=lossless), tmp_path)

    runs = json.loads((tmp_path / "evaluation.json").read_text())["runs"]

    assert len({run["arm"] for run in runs}) == 5
    assert all(run["identical"] for run in runs)


def test_the_oracle_keeps_what_full_depth_keeps_and_takes_no_more_energy(loaded: LoadedModel, tmp_path: Path) -> None:
    evaluate(loaded, files(), replace(SMALL, arms=("oracle",)), tmp_path)

    runs = json.loads((tmp_path / "evaluation.json").read_text())["runs"]
    by_arm = {name: [run for run in runs if run["arm"] == name] for name in ("full-depth", "oracle", "oracle-stop")}
    full, oracle, exits_alone = by_arm.values()

    assert [run["kept"] for run in oracle] == [run["kept"] for run in full]
    assert all(run["identical"] for run in exits_alone)
    assert all(bound["decode_j"] <= run["decode_j"] for bound, run in zip(oracle, full, strict=True))


def test_without_a_learned_policy_the_slider_is_said_to_be_its_stand_in(loaded: LoadedModel, tmp_path: Path) -> None:
    text = evaluate(loaded, files(), replace(SMALL, arms=("green:*",)), tmp_path)

    assert "No learned policy fits this model" in text


def test_the_papers_protocol_cuts_files_at_a_fifth(loaded: LoadedModel, tmp_path: Path) -> None:
    paper = replace(SMALL, protocol="paper", max_new_tokens=5, arms=("fixed:4",))
    evaluate(loaded, files(), paper, tmp_path)

    numbers = json.loads((tmp_path / "evaluation.json").read_text())

    assert {place["kind"] for place in numbers["places"]} == {"paper"}
    assert {run["tokens"] for run in numbers["runs"]} == {5}


class Lines(LetterTokenization):
    """Ends a line every few tokens."""

    def continuation(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> str:
        return "".join("\n" if idx % 8 == 0 else "x" for idx in ids)


@pytest.mark.usefixtures("with_policy")
def test_babbling_is_judged_only_where_full_depth_goes_on(loaded: LoadedModel, tmp_path: Path) -> None:
    babble = replace(SMALL, protocol="babble", max_new_tokens=None, arms=())
    chatty = replace(loaded, tokenization=Lines())  # type: ignore[arg-type]  # its methods are all that is used
    text = evaluate(chatty, files(), babble, tmp_path)

    runs = json.loads((tmp_path / "evaluation.json").read_text())["runs"]
    full = [run for run in runs if run["arm"] == "full-depth"]

    assert "full-depth+stop@50" in {run["arm"] for run in runs}
    assert all(run["text"].partition("\n")[2].strip() for run in full)
    assert f"those {len(full)} count" in text
    assert "| Stopping, full-depth+stop@50 |" in text


def test_infilling_runs_the_programs(loaded: LoadedModel, tmp_path: Path) -> None:
    problem = {
        "task_id": "Same/L0",
        "prompt": "def same(a):\n",
        "canonical_solution": "    b = a\n",
        "suffix": "    return a\n",
        "test": "def check(candidate):\n    assert candidate(1) == 1\n",
        "entry_point": "same",
    }
    (tmp_path / "problems.jsonl").write_text(f"{json.dumps(problem)}\n" * 3)
    infilling = replace(
        SMALL, protocol="infilling", benchmark=tmp_path / "problems.jsonl", arms=("green:0",), max_new_tokens=6
    )
    text = evaluate(loaded, [], infilling, tmp_path)

    runs = json.loads((tmp_path / "evaluation.json").read_text())["runs"]

    assert "pass@1" in text
    assert len(runs) == 6
    assert {run["passed"] for run in runs} <= {0, 1}


def test_infilling_without_its_file_is_refused(loaded: LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--benchmark"):
        evaluate(loaded, [], replace(SMALL, protocol="infilling"), tmp_path)


def test_an_arm_that_does_not_exist_is_refused_with_those_that_do(loaded: LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No arm is called 'fixed:99'; choose from: full-depth, fixed:1"):
        evaluate(loaded, files(), replace(SMALL, arms=("fixed:99",)), tmp_path)


def test_transformers_own_early_exit_is_timed_beside(loaded: LoadedModel, tmp_path: Path) -> None:
    text = evaluate(loaded, files(), replace(SMALL, arms=("assistant",)), tmp_path)

    assert "assistant_early_exit=2: decoding time saved" in text
    assert "same text at 6 of 6 places" in text


def test_the_original_weights_are_judged_as_one_more_arm(loaded: LoadedModel, tmp_path: Path) -> None:
    places = sample_places(files(), 4, max_new_tokens=8)
    [full, *_] = all_arms(loaded.model.exit_layers, loaded.model.n_layers, None)
    other = replace(loaded, model=early_exit_model(tiny_model("llama", seed=5)))

    def identical(original: LoadedModel) -> list[int]:
        cost_model = default_cost_model(loaded.model.geometry, "cpu")
        runs = run_arms(
            TextDecoder(loaded), places, [full], cost_model, max_new_tokens=8, with_oracle=False, original=original
        )
        assert [run.arm for run in runs] == ["full-depth", "original"] * 4
        return [run.identical for run in runs if run.arm == "original"]

    assert identical(loaded) == [1] * 4
    assert identical(other) == [0] * 4


def test_the_time_of_text_that_is_certain_late_counts_from_its_first_token_on(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole head judges several tokens at once, so the first is told of with the last."""
    monkeypatch.setattr("engine.completion.site._LEAST_CHANCE", 0.0)  # nothing is given up
    listed = replace(loaded, model=with_exits(loaded.model, shortlist=torch.arange(0, 97, 2)))
    arms = [arm for arm in all_arms(listed.model.exit_layers, listed.model.n_layers, None) if arm.group != "random"]
    cost_model = default_cost_model(listed.model.geometry, "cpu")

    runs = run_arms(
        TextDecoder(listed),
        sample_places(files(), 2, max_new_tokens=3),
        arms,
        cost_model,
        max_new_tokens=3,
        with_oracle=False,
    )

    confident = [run for run in runs if run.arm.startswith("confidence:")]
    assert all(run.policy_s < run.decode_s for run in confident)
    assert any(run.policy_s > 0.0 for run in confident)
