import copy
import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.completion.words import inside_word
from engine.corpus.cursors import MIN_PREFIX_CHARS
from engine.decoding.decoder import Decoder
from engine.decoding.stopping import StopCondition
from engine.energy.cost_model import default_cost_model
from engine.errors import TrainingError
from engine.policy.base import Action, ExitCandidate, OperatingPoint
from engine.policy.learned import (
    ACTIONS,
    POLICY,
    LearnedPolicy,
    PolicyInfo,
    context_features,
    find_learned_policy,
)
from engine.text import TextDecoder
from engine.training.policy.closed_loop import ClosedLoopEnv
from engine.training.policy.env import RolloutEnv, Scene, scenes_of
from engine.training.policy.network import PolicyNetwork, Standardization
from engine.training.policy.plan import default_check_layers
from engine.training.policy.policy_training import train_policy
from engine.training.policy.ppo import PpoPlan, train_ppo
from engine.training.policy.recordings import Recording, places
from engine.training.policy.rollout import Rollout
from engine.training.policy.slider import Point, between, mean_reward, slider_weights, sweep
from engine.types import NeverCancelled
from tests.engine.training.policy.fakes import CHECK_LAYERS, PLAN, corpus, tiny_loaded
from tests.engine.training.policy.test_rollout import PARAMS, recording


def seeded_recordings(count: int) -> list[Recording]:
    """Exits whose opinion can be read off the state's first number, and text that is never kept past it."""
    made = []
    for seed in range(count):
        generator = torch.Generator().manual_seed(seed)
        right = torch.rand(8, len(CHECK_LAYERS), generator=generator) < 0.5
        states = torch.randn(8, len(CHECK_LAYERS), 3, generator=generator)
        states[:, :, 0] = right * 4.0 - 2.0
        made.append(recording(right.tolist(), states=states.half()))
    return made


def scenes(made: list[Recording]) -> list[Scene]:
    return scenes_of(
        made, Standardization(mean=torch.zeros(len(CHECK_LAYERS), 3), std=torch.ones(len(CHECK_LAYERS), 3))
    )


def test_the_exported_policy_is_the_network_that_learned() -> None:
    torch.manual_seed(0)
    network = PolicyNetwork(2, 5)
    states = torch.randn(50, 2, 5) * 3 + 1
    standardization = Standardization.of(states)
    info = PolicyInfo(
        model="m",
        fingerprint="f",
        exits_fingerprint="e",
        check_layers=(3, 6),
        slider_weights=(0.0,) * 11,
        corpus_sha256="",
        cost_model="",
        steps=0,
        created="",
    )
    policy = LearnedPolicy(info, network.exported(standardization))

    for index, layer in enumerate((3, 6)):
        for state in states[:, index]:
            context = context_features(
                n_waiting=2,
                n_emitted=5,
                n_drafts=1,
                energy_weight=0.4,
                may_stop=True,
                text_chance=0.5,
                guess_chance=0.25,
            )
            one_hot = [1.0 - index, float(index)]
            seen = (state - standardization.mean[index]) / standardization.std[index]
            scores = network(torch.cat((seen, torch.tensor(one_hot + context)))[None])[0]
            asked = ExitCandidate(
                hidden=lambda state=state: state.numpy(),  # type: ignore[misc]  # bound now
                exit_index=index,
                exit_layer=layer,
                n_waiting=2,
                n_emitted=5,
                n_drafts=1,
                energy_weight=0.4,
                text_chance=lambda: 0.5,
                guess_chance=lambda: 0.25,
                probability=lambda: 0.0,
                tokens=list,
            )
            assert policy.decide(asked) is ACTIONS[int(scores.argmax())]


def test_ppo_learns_to_take_the_exits_that_are_right() -> None:
    torch.manual_seed(0)
    shown = scenes(seeded_recordings(60))
    network = PolicyNetwork(len(CHECK_LAYERS), 3)
    plan = PpoPlan(steps=8000, n_envs=8, rollout=1024, batch_size=256, learning_rate=3e-3, target_kl=0.1)

    def score() -> float:
        return mean_reward(sweep(network, shown, PARAMS, (0.3, 0.5)))

    before = score()
    train_ppo(network, [lambda: RolloutEnv(shown, PARAMS, dropout=0.0)] * plan.n_envs, plan=plan)

    assert score() > before + 1.0


def test_the_network_that_did_best_elsewhere_is_kept() -> None:
    torch.manual_seed(0)
    shown, network = scenes(seeded_recordings(4)), PolicyNetwork(len(CHECK_LAYERS), 3)
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    scores = iter([1.0] + [0.0] * 20)
    plan = PpoPlan(steps=1024, n_envs=4, rollout=256, batch_size=64, learning_rate=3e-3, target_kl=0.1)

    # A critic of its own lets the actor move, and be judged, from the first step on.
    critic = train_ppo(copy.deepcopy(network), [lambda: RolloutEnv(shown, PARAMS)] * 4, plan=plan)
    train_ppo(
        network,
        [lambda: RolloutEnv(shown, PARAMS)] * 4,
        plan=plan,
        critic=critic,
        judge=lambda judged: next(scores),
    )

    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, start[name])
    assert next(scores) == 0.0  # there were others


def test_training_places_cursors_where_evaluation_does() -> None:
    for place in itertools.islice(places(corpus().files["train"], seed=1), 50):
        text = place.prefix + place.truth
        assert not inside_word(text, len(place.prefix))
        assert len(place.prefix) >= MIN_PREFIX_CHARS
        assert place.truth.partition("\n")[0].strip()


def test_the_decoder_is_tried_around_the_weights_that_recordings_suggest() -> None:
    tried = between((0.0, 0.5, 0.6, 0.7))

    assert tried == (0.0, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75)


def test_a_wrong_final_exit_loses_what_was_still_to_be_kept() -> None:
    made = recording([[True, False, False, False]] * 6)
    patient, hasty = (Rollout(made, PARAMS, energy_weight=0.5, may_stop=True, with_end_rules=True) for _ in range(2))
    hasty.act(Action.CONTINUE)
    hasty.act(Action.EXIT)
    while not patient.is_over:
        patient.act(Action.EXIT)

    assert hasty.is_over
    assert hasty.kept_chars == 4
    assert patient.kept_chars == 28


def test_stop_ends_a_suggestion_at_no_further_cost_but_not_a_lossless_one() -> None:
    made = recording([[True] * 4] * 6)
    lossy = Rollout(made, PARAMS, energy_weight=0.5, may_stop=True, with_end_rules=True)
    lossless = Rollout(made, PARAMS, energy_weight=0.0, may_stop=True, with_end_rules=True)

    assert lossy.act(Action.STOP) == 0.0
    assert lossy.stopped
    lossless.act(Action.STOP)
    assert not lossless.is_over


def test_even_steps_of_energy_are_chosen_for_the_slider() -> None:
    def point(weight: float, energy: float, kept: float) -> Point:
        return Point(
            energy_weight=weight,
            reward=0.0,
            energy_share=energy,
            kept_share=kept,
            kept_chars=0.0,
            mean_layers=0.0,
            tokens=0.0,
            stop_share=0.0,
        )

    # Energy falls with the square, rises once by chance, and the last weight would be silent.
    points = [point(0.0, 1.0, 1.0)]
    points += [point(w / 20, 1.0 - (w / 20) ** 2 + (0.03 if w == 9 else 0.0), 0.9) for w in range(1, 17)]
    points.append(point(0.9, 0.01, 0.0))

    weights = slider_weights(points)

    energies = [1.0 - w**2 for w in weights]
    steps = [a - b for a, b in itertools.pairwise(energies)]
    assert weights[0] == 0.0
    assert weights[-1] == pytest.approx(0.8)
    assert max(steps) < 1.5 * sum(steps) / len(steps)


def test_the_closed_loop_steps_through_the_real_decoder_and_ends_its_thread() -> None:
    loaded = tiny_loaded()
    cost = default_cost_model(loaded.model.geometry, "cpu")
    there = [next(places(corpus().files["train"], seed=0))]
    flat = Standardization(mean=torch.zeros(len(CHECK_LAYERS), 32), std=torch.ones(len(CHECK_LAYERS), 32))
    env = ClosedLoopEnv(TextDecoder(loaded), there, CHECK_LAYERS, flat, cost=cost, mean_chars=1.0)
    observation, _ = env.reset(seed=3)
    total, n_steps, is_over = 0.0, 0, False
    while not is_over:
        assert observation in env.observation_space
        observation, gained, is_over, _, _ = env.step(0)  # type: ignore[arg-type]  # any integer will do
        total, n_steps = total + gained, n_steps + 1
    env.reset()
    env.close()

    assert n_steps >= len(CHECK_LAYERS)
    assert total < 0.0  # the tiny model says nothing worth keeping
    assert env._thread is None


def test_default_check_layers_are_exits_at_a_few_depths() -> None:
    assert default_check_layers(range(3, 30, 3), 30) == (6, 12, 18, 21, 24, 27)
    assert default_check_layers((2, 4), 6) == (2, 4)
    assert default_check_layers((), 6) == ()


def test_a_whole_training_ends_in_a_policy_that_fits_its_model_and_runs(own_cache: Path, own_data: Path) -> None:
    loaded, output, said = tiny_loaded(), POLICY.own_path("tiny"), list[str]()
    trained = train_policy(loaded, corpus(), output, plan=PLAN, progress=lambda message, *_: said.append(message))

    found = find_learned_policy("tiny", loaded.model.fingerprint, loaded.model.exits_fingerprint)
    assert found is not None
    assert found.info == trained.policy.info
    assert len(trained.table) == 11
    assert set(trained.stages) == {"supervised start", "PPO on recordings", "PPO on the decoder"}
    assert [path.name for path in output.parent.iterdir()] == ["policy.safetensors"]
    tokens = Decoder(loaded.model).generate(
        [5, 17, 3, 88],
        policy=found,
        point=OperatingPoint(energy_weight=found.energy_weight(0), lossless=True),
        stop=StopCondition(max_new_tokens=8),
        cancellation=NeverCancelled(),
    )
    assert len(list(tokens)) == 8

    # Another training starts from the recordings that are there.
    said.clear()
    brief = replace(PLAN, ppo=PpoPlan(steps=0), closed_loop_steps=0)
    train_policy(loaded, corpus(), output, plan=brief, progress=lambda message, *_: said.append(message))
    assert "Recording suggestions" not in said


def test_a_model_without_exits_is_refused(own_cache: Path, own_data: Path) -> None:
    with pytest.raises(TrainingError, match="only look at exits"):
        train_policy(tiny_loaded(), corpus(), own_data / "p.safetensors", plan=replace(PLAN, check_layers=(9,)))
