"""START HERE for the learned policy: `train_policy` makes one for a model, and calibrates the slider.

Five parts, a function each: `_record` suggestions at full depth, `_start` the network by examples, `_improve` it by PPO
on the recordings, `_close_the_loop` by PPO on the real decoder, `_calibrate` the slider. After each of the middle three
the better policy on validation places goes on. A killed run goes on: recordings stay in the cache folder, PPO keeps a
checkpoint beside the output.
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING

import torch

from engine import config
from engine.corpus.as_projects import give_packages
from engine.energy.cost_model import default_cost_model
from engine.errors import TrainingError
from engine.model.reference.eager import TorchRunner
from engine.policy.learned import LearnedPolicy, PolicyInfo, save_policy
from engine.text import TextDecoder
from engine.training.policy.closed_loop import ClosedLoopEnv
from engine.training.policy.decoder_judge import DecoderJudge
from engine.training.policy.env import RolloutEnv, scenes_of
from engine.training.policy.network import PolicyNetwork, standardization_of
from engine.training.policy.ppo import PpoPlan, train_ppo
from engine.training.policy.recordings import MAX_NEW_TOKENS, mean_token_chars, places, record, site_at
from engine.training.policy.rewards import prices_of
from engine.training.policy.rollout import EnvParams
from engine.training.policy.slider import Point, between, mean_reward, modes_of, slider_weights, sweep
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
    from engine.training.policy.env import Scene
    from engine.training.policy.network import Standardization
    from engine.training.policy.plan import PolicyPlan
    from engine.training.policy.recordings import Recording, TrainingPlace

_FORMAT = 9  # of the recordings; raise it when the same places give other ones
_SAMPLED_PROMPTS = 8
_JUDGED_WEIGHTS = (0.3, 0.4, 0.5, 0.6, 0.7)  # at which policies are compared; at less energy hardly counts


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedPolicy:
    """What a training gave.

    Attributes:
        policy: The policy as it was saved.
        table: Each green mode's point, by the real decoder on validation places.
        stages: Mean validation reward on recordings after each part; the policy that goes on is the better one.
        chosen: The part whose policy was saved.
    """

    policy: LearnedPolicy
    table: list[Point]
    stages: dict[str, float]
    chosen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What all parts of one training share, and none of them changes.

    Attributes:
        texts: Decodes with the model; the packages of the places are its projects.
        corpus: The text of the recordings.
        plan: How much is done.
        cost: Joules per unit of work.
        progress: Is called with what is being done.
        train_places: Places to learn from.
        held_out: Places to judge by.
        recordings: What full depth said at `train_places`.
        standardization: Mean and deviation of the states in `recordings`.
        scenes: `recordings`, ready for the network.
        judged: What full depth said at `held_out`, ready for the network.
        params: What the decision process charges, and the exits that the policy looks at.
        checkpoint: The file from which PPO on recordings goes on after a kill.
    """

    texts: TextDecoder
    corpus: Corpus
    plan: PolicyPlan
    cost: DeviceCostModel
    progress: ProgressSink
    train_places: Sequence[TrainingPlace]
    held_out: Sequence[TrainingPlace]
    recordings: Sequence[Recording]
    standardization: Standardization
    scenes: Sequence[Scene]
    judged: Sequence[Scene]
    params: EnvParams
    checkpoint: Path

    def score(self, network: PolicyNetwork) -> float:
        """The mean reward of a network on the recordings to judge by."""
        return mean_reward(sweep(network, self.judged, self.params, _JUDGED_WEIGHTS))

    def policy(self, network: PolicyNetwork, slider: Sequence[float] | None = None, steps: int = 0) -> LearnedPolicy:
        """The policy that runs in the product, made of the network that learned."""
        info = PolicyInfo(
            model=self.texts.loaded.name,
            fingerprint=self.texts.loaded.model.fingerprint,
            exits_fingerprint=self.texts.loaded.model.exits_fingerprint,
            check_layers=self.params.check_layers,
            slider_weights=tuple(slider or (step / 10 for step in range(11))),
            corpus_sha256=self.corpus.sha256,
            cost_model=self.cost.source,
            steps=steps,
            created=datetime.now(timezone.utc).date().isoformat(),
        )
        return LearnedPolicy(info, network.exported(self.standardization))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A network that may become the policy.

    Attributes:
        name: The part of the training that made it.
        network: The network; nobody changes it any further.
        steps: Decisions of PPO that went into it.
        score: Its mean reward on the recordings to judge by.
    """

    name: str
    network: PolicyNetwork
    steps: int
    score: float


def train_policy(
    loaded: LoadedModel,
    corpus: Corpus,
    output: Path,
    *,
    plan: PolicyPlan,
    progress: ProgressSink = no_progress,
) -> TrainedPolicy:
    """Trains a policy for a model, judges it on held-out packages, and saves it.

    Args:
        loaded: The model with its trained exits; it is not changed.
        corpus: Training text.
        output: The file to write.
        plan: How much is done.
        progress: Is called with what is being done.

    Raises:
        TrainingError: If the model has no exits to decide about, the text is too small, or a file cannot be written.
        PolicyError: If the result cannot be written.
    """
    run = _record(loaded, corpus, output, plan=plan, progress=progress)
    candidates, critic = [_start(run)], None
    if run.plan.ppo.steps > 0:
        improved, critic = _improve(run, candidates[0])
        candidates.append(improved)
    best = max(candidates, key=lambda candidate: candidate.score)
    judge = DecoderJudge(run.texts, run.held_out[: run.plan.table_places], run.cost, run.params.mean_chars, progress)
    if run.plan.closed_loop_steps > 0:
        closed = _close_the_loop(run, best, critic)
        candidates.append(closed)
        before, after = (
            mean_reward(judge.points(run.policy(candidate.network), _JUDGED_WEIGHTS)) for candidate in (best, closed)
        )
        best = closed if after > before else best
    policy, table = _calibrate(run, best, judge)
    save_policy(policy, output)
    run.checkpoint.unlink(missing_ok=True)
    stages = {candidate.name: candidate.score for candidate in candidates}
    return TrainedPolicy(policy=policy, table=table, stages=stages, chosen=best.name)


def _record(
    loaded: LoadedModel,
    corpus: Corpus,
    output: Path,
    *,
    plan: PolicyPlan,
    progress: ProgressSink,
) -> _Run:
    """Records suggestions at full depth, to learn from and to judge by."""
    model = loaded.model
    _leave_threads_to(model)
    check_layers = plan.layers_of(model.exit_layers, model.n_layers)
    cost = default_cost_model(model.geometry, loaded.device, loaded.runtime)
    train_places = list(islice(places(corpus.files["train"], seed=plan.seed), plan.places))
    held_out = list(islice(places(corpus.files["validation"], seed=plan.seed), plan.validation_places))
    texts = TextDecoder(loaded)
    give_packages(texts.projects.text, (*corpus.files["train"], *corpus.files["validation"]))
    run = _run_key(texts, corpus, plan, check_layers, train_places)
    store = config.cache_dir() / "policy"
    recordings = record(texts, train_places, check_layers, store=store / f"train-{run}.pt", run=run, progress=progress)
    validation = record(
        texts,
        held_out,
        check_layers,
        store=store / f"validation-{run}.pt",
        run=run,
        progress=progress,
        message="Recording suggestions to judge by",
    )
    if not recordings or not validation:
        raise TrainingError("At none of the places did the model say anything; train on other text.")
    standardization = standardization_of(recordings)
    return _Run(
        texts=texts,
        corpus=corpus,
        plan=plan,
        cost=cost,
        progress=progress,
        train_places=train_places,
        held_out=held_out,
        recordings=recordings,
        standardization=standardization,
        scenes=scenes_of(recordings, standardization),
        judged=scenes_of(validation, standardization),
        params=EnvParams(
            prices=prices_of(cost, model.shortlist_share),
            check_layers=check_layers,
            mean_chars=mean_token_chars(recordings),
        ),
        checkpoint=output.with_suffix(f".{run}.zip"),
    )


def _start(run: _Run) -> _Candidate:
    """Teaches a new network, by examples, the best action one step ahead."""
    model, plan, check_layers = run.texts.loaded.model, run.plan, run.params.check_layers
    torch.manual_seed(plan.seed)
    network = PolicyNetwork(len(check_layers), run.recordings[0].states.shape[2])
    text = list(blocks(run.corpus.files["train"], run.texts.loaded.tokenization, max_tokens=plan.text_tokens))
    warm_start(
        network,
        recorded_examples(run.recordings, run.standardization),
        text_examples(model, text, check_layers, run.standardization, progress=run.progress),
        run.params.prices,
        check_layers,
        n_steps=plan.start_steps,
        progress=run.progress,
    )
    return _Candidate(name="supervised start", network=network, steps=0, score=run.score(network))


def _improve(run: _Run, start: _Candidate) -> tuple[_Candidate, dict[str, torch.Tensor]]:
    """Improves a network by PPO on the recordings; returns it with its critic."""
    network, plan = copy.deepcopy(start.network), run.plan
    run.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    critic = train_ppo(
        network,
        [lambda: RolloutEnv(run.scenes, run.params)] * plan.ppo.n_envs,
        plan=replace(plan.ppo, seed=plan.seed),
        checkpoint=run.checkpoint,
        progress=run.progress,
        judge=run.score,
    )
    name = "PPO on recordings"
    return _Candidate(name=name, network=network, steps=plan.ppo.steps, score=run.score(network)), critic


def _close_the_loop(run: _Run, best: _Candidate, critic: dict[str, torch.Tensor] | None) -> _Candidate:
    """Improves a network by gentle PPO on the real decoder, where the errors of exits compound."""
    network, plan = copy.deepcopy(best.network), run.plan
    env = ClosedLoopEnv(
        run.texts,
        run.train_places,
        run.params.check_layers,
        run.standardization,
        cost=run.cost,
        mean_chars=run.params.mean_chars,
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
        progress=run.progress,
        message="Training the policy on the decoder",
        critic=critic,
    )
    steps = plan.ppo.steps + plan.closed_loop_steps
    return _Candidate(name="PPO on the decoder", network=network, steps=steps, score=run.score(network))


def _calibrate(run: _Run, best: _Candidate, judge: DecoderJudge) -> tuple[LearnedPolicy, list[Point]]:
    """Maps the slider to energy weights; returns the policy, and its point at each green mode."""
    # Recordings say roughly where the slider's weights lie, the decoder says what it spends there.
    estimate = sweep(best.network, run.judged, run.params)
    first = slider_weights(estimate)
    tried = between(first)
    slider = slider_weights(judge.points(run.policy(best.network), tried, modes_of(tried, first)))
    policy = run.policy(best.network, slider=slider, steps=best.steps)
    return policy, judge.points(policy, slider, modes_of(slider, slider))


def _leave_threads_to(model: EarlyExitModel) -> None:
    """The networks in training are small, and torch's pool would spin beside that of the fast runner."""
    if not isinstance(model.runner, TorchRunner):
        torch.set_num_threads(1)


def _run_key(
    texts: TextDecoder,
    corpus: Corpus,
    plan: PolicyPlan,
    check_layers: Sequence[int],
    train_places: Sequence[TrainingPlace],
) -> str:
    """Names what recordings and checkpoint depend on; more places only add to the recordings.

    The first prompts stand for the rules by which places are chosen and prompts are built.
    """
    parts = [
        _FORMAT,
        texts.loaded.model.fingerprint,
        texts.loaded.model.exits_fingerprint,
        corpus.sha256,
        list(check_layers),
        plan.seed,
        [texts.prompt_ids(site_at(place), max_new_tokens=MAX_NEW_TOKENS) for place in train_places[:_SAMPLED_PROMPTS]],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
