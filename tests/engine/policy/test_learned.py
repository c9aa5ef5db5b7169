import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import PolicyError
from engine.policy import learned
from engine.policy.base import Action, ExitCandidate
from engine.policy.learned import (
    ACTIONS,
    POLICY,
    LearnedPolicy,
    find_learned_policy,
    load_policy,
    save_policy,
)
from tests.engine.policy.tiny_policy import tiny_policy


def candidate(
    hidden: NDArray[np.float32] | Callable[[], NDArray[np.float32]],
    *,
    layer: int = 12,
    weight: float = 0.5,
    n_emitted: int = 1,
) -> ExitCandidate:
    def never() -> float:
        raise AssertionError

    return ExitCandidate(
        hidden=hidden if callable(hidden) else lambda: hidden,
        exit_index=0,
        exit_layer=layer,
        n_waiting=0,
        n_emitted=n_emitted,
        n_drafts=0,
        energy_weight=weight,
        text_chance=lambda: 0.5,
        guess_chance=lambda: 0.25,
        probability=never,
        tokens=list,
    )


def states(count: int = 200) -> NDArray[np.float32]:
    return np.random.default_rng(7).standard_normal((count, 32), np.float32)


def decisions(policy: LearnedPolicy, weight: float = 0.5) -> list[Action]:
    return [policy.decide(candidate(state, weight=weight, n_emitted=n)) for n, state in enumerate(states(), 1)]


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(learned, "POLICY", replace(learned.POLICY, packaged=tmp_path / "shipped"))
    return tmp_path


def test_it_does_not_look_between_its_check_layers() -> None:
    def looked() -> NDArray[np.float32]:
        raise AssertionError

    assert tiny_policy().decide(candidate(looked, layer=15)) is Action.CONTINUE


def test_it_decides_by_state_surroundings_and_energy_weight() -> None:
    policy = tiny_policy()

    assert len(set(decisions(policy))) > 2
    assert decisions(policy, weight=0.1) != decisions(policy, weight=0.8)


def test_lossless_never_stops_and_forbidden_actions_are_not_taken() -> None:
    policy = tiny_policy(seed=2)
    without = policy.restricted_to({Action.CONTINUE, Action.EXIT})

    assert Action.STOP in decisions(policy)
    assert Action.STOP not in decisions(policy, weight=0.0)
    assert set(decisions(without)) == {Action.CONTINUE, Action.EXIT}


def test_green_modes_between_stored_points_are_interpolated() -> None:
    policy = tiny_policy()

    assert policy.energy_weight(0) == 0.0
    assert policy.energy_weight(25) == pytest.approx(0.2)
    assert policy.energy_weight(100) == pytest.approx(0.8)


def test_a_saved_policy_decides_as_before(tmp_path: Path) -> None:
    policy = tiny_policy()
    save_policy(policy, tmp_path / "policy.safetensors")

    loaded = load_policy(tmp_path / "policy.safetensors", "weights", "exits")

    assert loaded.info == policy.info
    assert decisions(loaded) == decisions(policy)


@pytest.mark.parametrize(
    ("fingerprint", "exits", "complaint"),
    [("others", "exits", "trained for other weights"), ("weights", "others", "trained for other exits")],
)
def test_the_users_own_policy_is_refused_where_it_does_not_fit(
    data_dir: Path, fingerprint: str, exits: str, complaint: str
) -> None:
    save_policy(tiny_policy(), POLICY.own_path("org/model"))

    with pytest.raises(PolicyError, match=f"{complaint}.*green-code train policy"):
        find_learned_policy("org/model", fingerprint, exits)


def test_a_shipped_policy_that_does_not_fit_is_left_out_with_a_warning(
    data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_policy(tiny_policy(), data_dir / "shipped" / "org--model" / "policy.safetensors")

    with caplog.at_level(logging.WARNING):
        assert find_learned_policy("org/model", "others", "exits") is None
    assert "trained for other weights" in caplog.text
    assert find_learned_policy("org/model", "weights", "exits") is not None
    assert find_learned_policy("another", "weights", "exits") is None


def test_a_damaged_file_and_another_version_are_said_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "policy.safetensors"
    path.write_bytes(b"not a policy")
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(path, "weights", "exits")

    policy = tiny_policy()
    save_policy(LearnedPolicy(replace(policy.info, format=99), policy.tensors), path)
    with pytest.raises(PolicyError, match="another version"):
        load_policy(path, "weights", "exits")


def test_a_policy_of_other_actions_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_policy(tiny_policy(), tmp_path / "policy.safetensors")
    monkeypatch.setattr(learned, "ACTIONS", (*ACTIONS, Action.EXIT))

    with pytest.raises(PolicyError, match=r"trained for other actions.*green-code train policy"):
        load_policy(tmp_path / "policy.safetensors", "weights", "exits")


def test_the_network_scores_every_action() -> None:
    assert sorted(ACTIONS, key=str) == sorted(Action, key=str)


def test_the_outputs_stand_in_the_order_that_files_have() -> None:  # another order of as many needs a new `_FORMAT`
    assert ACTIONS == (Action.CONTINUE, Action.EXIT, Action.VERIFY, Action.STOP)
