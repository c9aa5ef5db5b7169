"""START HERE for the learned policy: `train_policy` makes one for a model, and calibrates the slider.

Record suggestions at full depth; teach the network a supervised start; improve it by PPO on the recordings; then on the
real decoder. After each part the better policy on validation places goes on. A killed run goes on: recordings stay in
the cache folder, PPO keeps a checkpoint beside the output.
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING

import torch

from engine import config
from engine.energy.cost_model import default_cost_model
from engine.errors import TrainingError
from engine.model.reference.eager import TorchRunner
from engine.policy.baselines import FullDepth
from engine.policy.learned import LearnedPolicy, PolicyInfo, save_policy
from engine.text import TextDecoder
from engine.training.policy.closed_loop import ClosedLoopEnv, Outcome, play
from engine.training.policy.env import EpisodeKind, RolloutEnv, scenes_of
from engine.training.policy.network import PolicyNetwork, standardization_of
from engine.training.policy.ppo import PpoPlan, train_ppo
from engine.training.policy.recordings import MAX_NEW_TOKENS, mean_token_chars, places, record, site_at
from engine.training.policy.rewards import prices_of
from engine.training.policy.rollout import EnvParams
from engine.training.policy.slider import Point, between, mean_reward, point_of, slider_weights, sweep
from engine.training.policy.warm_start import recorded_examples, text_examples, warm_start
from engine.training.states import blocks
from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.corpus.datasets import Corpus
    from engine.energy.cost_model import DeviceCostModel
    from engine.model.early_exit import EarlyExitModel
    from engine.model.loaded import LoadedModel
    from engine.training.policy.network import Standardization
    from engine.training.policy.recordings import TrainingPlace

_CHECK_SHARES = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9)  # of the depth; below them STOP comes cheap, above them exits are good
_FORMAT = 6  # of the recordings; raise it when the same places give other ones
_SAMPLED_PROMPTS = 8
_JUDGED_WEIGHTS = (0.3, 0.4, 0.5, 0.6, 0.7)  # at which policies are compared; at less energy hardly counts


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPlan:
    """How much is done.

    Attributes:
        places: Recorded to learn from; about a second each on two cores.
        validation_places: Recorded to judge by.
        text_tokens: Plain text for the probes' first epochs.
        start_steps: Batches of each part of the supervised start.
        ppo: PPO on recordings.
        closed_loop_steps: Decisions of PPO on the real decoder.
        table_places: Validation places at which the real decoder calibrates the slider and makes the final table.
        check_layers: Exits that the policy looks at; None for the default.
        seed: Of everything that is drawn.
    """

    places: int = 1000
    validation_places: int = 150
    text_tokens: int = 24_000
    start_steps: int = 1500
    ppo: PpoPlan = field(default_factory=PpoPlan)
    closed_loop_steps: int = 4000
    table_places: int = 40
    check_layers: tuple[int, ...] | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedPolicy:
    """What a training gave.

    Attributes:
        policy: As it was saved.
        table: Each green mode's point, by the real decoder on validation places.
        stages: Mean validation reward on recordings after each part; the policy that goes on is the better one.
        chosen: The part whose policy was saved.
    """

    policy: LearnedPolicy
    table: list[Point]
    stages: dict[str, float]
    chosen: str


def train_policy(
    loaded: LoadedModel,
    corpus: Corpus,
    output: Path,
    *,
    plan: PolicyPlan | None = None,
    cost: DeviceCostModel | None = None,
    progress: ProgressSink = no_progress,
) -> TrainedPolicy:
    """Trains a policy for a model, judges it on held-out packages, and saves it.

    Args:
        loaded: The model with its trained exits; it is not changed.
        corpus: Training text.
        output: The file to write.
        plan: How much is done.
        cost: Joules per unit of work; None for the shipped model of the device.
        progress: Told what is being done.

    Raises:
        TrainingError: If the model has no exits to decide about, the text is too small, or a file cannot be written.
        PolicyError: If the result cannot be written.
    """
    plan, model = plan or PolicyPlan(), loaded.model
    _leave_threads_to(model)
    check_layers = plan.check_layers or default_check_layers(model.exit_layers, model.n_layers)
    if not check_layers or not set(check_layers) <= set(model.exit_layers):
        raise TrainingError(f"The policy can only look at exits of the model, {list(model.exit_layers)}.")
    cost = cost or default_cost_model(model.geometry, loaded.device, loaded.runtime)
    train_places = list(islice(places(corpus.files["train"], seed=plan.seed), plan.places))
    held_out = list(islice(places(corpus.files["validation"], seed=plan.seed), plan.validation_places))
    run = _run_key(loaded, corpus, plan, check_layers, train_places)
    store = config.cache_dir() / "policy"
    recordings = record(loaded, train_places, check_layers, store=store / f"train-{run}.pt", run=run, progress=progress)
    validation = record(
        loaded,
        held_out,
        check_layers,
        store=store / f"validation-{run}.pt",
        run=run,
        progress=progress,
        message="Recording suggestions to judge by",
    )
    if not recordings or not validation:
        raise TrainingError("At none of the places did the model say anything; train on other text.")
    params = EnvParams(
        prices=prices_of(cost, model.shortlist_share),
        check_layers=check_layers,
        mean_chars=mean_token_chars(recordings),
    )
    standardization = standardization_of(recordings)
    scenes, judged = scenes_of(recordings, standardization), scenes_of(validation, standardization)
    torch.manual_seed(plan.seed)
    network = PolicyNetwork(len(check_layers), recordings[0].states.shape[2])
    warm_start(
        network,
        recorded_examples(recordings, standardization),
        text_examples(
            model,
            list(blocks(corpus.files["train"], loaded.tokenization, max_tokens=plan.text_tokens)),
            check_layers,
            standardization,
            progress=progress,
        ),
        params.prices,
        check_layers,
        n_steps=plan.start_steps,
        progress=progress,
    )
    candidates = {"supervised start": copy.deepcopy(network)}
    checkpoint = output.with_suffix(f".{run}.zip")
    output.parent.mkdir(parents=True, exist_ok=True)
    critic = None

    def score_of(candidate: PolicyNetwork) -> float:
        return mean_reward(sweep(candidate, judged, params, _JUDGED_WEIGHTS))

    if plan.ppo.steps > 0:
        critic = train_ppo(
            network,
            [lambda: RolloutEnv(scenes, params)] * plan.ppo.n_envs,
            plan=replace(plan.ppo, seed=plan.seed),
            checkpoint=checkpoint,
            progress=progress,
            judge=score_of,
        )
        candidates["PPO on recordings"] = copy.deepcopy(network)
    stages = {name: score_of(candidate) for name, candidate in candidates.items()}
    chosen = max(stages, key=lambda name: stages[name])
    maker = _Maker(loaded, corpus, cost, check_layers, standardization)
    judge = _Judge(loaded, held_out[: plan.table_places], cost, params.mean_chars, progress)
    if plan.closed_loop_steps > 0:
        network = copy.deepcopy(candidates[chosen])
        _close_the_loop(
            network,
            loaded=loaded,
            train_places=train_places,
            params=params,
            standardization=standardization,
            cost=cost,
            plan=plan,
            critic=critic,
            progress=progress,
        )
        stages["PPO on the decoder"] = score_of(network)
        before = mean_reward(judge.points(maker.policy(candidates[chosen]), _JUDGED_WEIGHTS))
        after = mean_reward(judge.points(maker.policy(network), _JUDGED_WEIGHTS))
        if after > before:
            chosen = "PPO on the decoder"
            candidates[chosen] = network
    # Recordings say roughly where the slider's weights lie, the decoder says what it spends there.
    estimate = sweep(candidates[chosen], judged, params)
    tried = judge.points(maker.policy(candidates[chosen]), between(slider_weights(estimate)))
    slider = slider_weights(tried)
    steps = {"supervised start": 0, "PPO on recordings": plan.ppo.steps}
    policy = maker.policy(
        candidates[chosen], slider=slider, steps=steps.get(chosen, plan.ppo.steps + plan.closed_loop_steps)
    )
    table = judge.points(policy, slider)
    save_policy(policy, output)
    checkpoint.unlink(missing_ok=True)
    return TrainedPolicy(policy=policy, table=table, stages=stages, chosen=chosen)


def default_check_layers(exit_layers: Sequence[int], n_layers: int) -> tuple[int, ...]:
    """A few of the exits, so that the policy costs little: those nearest to certain shares of the depth."""
    if not exit_layers:
        return ()
    nearest = {min(exit_layers, key=lambda layer: abs(layer - share * n_layers)) for share in _CHECK_SHARES}
    return tuple(sorted(nearest))


def _leave_threads_to(model: EarlyExitModel) -> None:
    """The networks in training are small, and torch's pool would spin beside that of the fast runner."""
    if not isinstance(model.runner, TorchRunner):
        torch.set_num_threads(1)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the policy that runs out of the network that learned."""

    loaded: LoadedModel
    corpus: Corpus
    cost: DeviceCostModel
    check_layers: tuple[int, ...]
    standardization: Standardization

    def policy(self, network: PolicyNetwork, slider: Sequence[float] | None = None, steps: int = 0) -> LearnedPolicy:
        info = PolicyInfo(
            model=self.loaded.name,
            fingerprint=self.loaded.model.fingerprint,
            exits_fingerprint=self.loaded.model.exits_fingerprint,
            check_layers=self.check_layers,
            slider_weights=tuple(slider or (step / 10 for step in range(11))),
            corpus_sha256=self.corpus.sha256,
            cost_model=self.cost.source,
            steps=steps,
            created=datetime.now(timezone.utc).date().isoformat(),
        )
        return LearnedPolicy(info, network.exported(self.standardization))


class _Judge:
    """Runs policies on the real decoder at the same places; full depth's figures are had once."""

    def __init__(
        self,
        loaded: LoadedModel,
        held_out: Sequence[TrainingPlace],
        cost: DeviceCostModel,
        mean_chars: float,
        progress: ProgressSink,
    ) -> None:
        self._loaded, self._places, self._cost = loaded, held_out, cost
        self._mean_chars, self._progress = mean_chars, progress

    def points(self, policy: LearnedPolicy, weights: Sequence[float]) -> list[Point]:
        texts = TextDecoder(self._loaded)
        baseline, outcomes = [], [list[Outcome]() for _ in weights]
        for done, place in enumerate(self._places):
            self._progress("Judging the policy on the decoder", done, len(self._places))
            kind = EpisodeKind(energy_weight=0.0, may_stop=True, with_end_rules=True)
            baseline.append(play(texts, place, FullDepth(), kind=kind, cost=self._cost, lookup=0))
            for column, weight in enumerate(weights):
                kind = replace(kind, energy_weight=weight)
                decider = FullDepth() if weight == 0.0 else policy  # as the product does at green mode 0
                outcomes[column].append(play(texts, place, decider, kind=kind, cost=self._cost))
        return [
            point_of(weight, column, baseline, self._mean_chars)
            for weight, column in zip(weights, outcomes, strict=True)
        ]


def _close_the_loop(
    network: PolicyNetwork,
    *,
    loaded: LoadedModel,
    train_places: Sequence[TrainingPlace],
    params: EnvParams,
    standardization: Standardization,
    cost: DeviceCostModel,
    plan: PolicyPlan,
    critic: dict[str, torch.Tensor] | None,
    progress: ProgressSink,
) -> None:
    env = ClosedLoopEnv(
        loaded, train_places, params.check_layers, standardization, cost=cost, mean_chars=params.mean_chars
    )
    gentle = PpoPlan(
        steps=plan.closed_loop_steps,
        n_envs=1,
        rollout=min(1000, plan.closed_loop_steps),
        batch_size=250,
        epochs=3,
        learning_rate=plan.ppo.learning_rate / 4,
        target_kl=plan.ppo.target_kl / 2,
        seed=plan.seed + 1,
    )
    train_ppo(
        network,
        [lambda: env],
        plan=gentle,
        progress=progress,
        message="Training the policy on the decoder",
        critic=critic,
    )


def _run_key(
    loaded: LoadedModel,
    corpus: Corpus,
    plan: PolicyPlan,
    check_layers: Sequence[int],
    train_places: Sequence[TrainingPlace],
) -> str:
    """Names what recordings and checkpoint depend on; more places only add to the recordings.

    The first prompts stand for the rules by which places are chosen and prompts are built.
    """
    texts = TextDecoder(loaded)
    parts = [
        _FORMAT,
        loaded.model.fingerprint,
        loaded.model.exits_fingerprint,
        corpus.sha256,
        list(check_layers),
        plan.seed,
        [texts.prompt_ids(site_at(place), max_new_tokens=MAX_NEW_TOKENS) for place in train_places[:_SAMPLED_PROMPTS]],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
