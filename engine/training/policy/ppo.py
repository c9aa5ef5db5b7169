"""PPO (Schulman et al., arXiv 1707.06347) from stable-baselines3, on exactly the network that will run.

Features, hidden layers and action head of its actor are those of `engine.training.policy.network`; the critic has
hidden layers of its own, sees what only the recording knows, and is taught first, with the actor held still, so that
its ignorance does not spoil the start. Recordings are few, and sooner or later PPO knows them by heart: the network
that is kept is the one that did best on others.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

from engine.files import written_whole
from engine.policy.learned import N_CONTEXT
from engine.training.policy.network import HIDDEN_WIDTH, PROBE_WIDTH, PolicyNetwork, Probes
from engine.training.policy.rollout import N_HINDSIGHT
from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import gymnasium

_CRITIC_SHARE = 0.15  # of the steps, before the actor moves
_CHECKPOINT_EVERY_S = 60.0
_JUDGE_EVERY = 20_000  # decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class PpoPlan:
    """The settings that matter.

    Attributes:
        steps: Decisions in all.
        n_envs: Suggestions side by side.
        rollout: Decisions between two updates, over all of them.
        batch_size: Decisions in one gradient step.
        epochs: Passes over a rollout.
        learning_rate: Falls linearly to nothing.
        target_kl: An update ends where the policy has moved so far.
        seed: The seed of everything that is drawn.
    """

    steps: int = 300_000
    n_envs: int = 32
    rollout: int = 8192
    batch_size: int = 512
    epochs: int = 4
    learning_rate: float = 2e-4
    target_kl: float = 0.02
    seed: int = 0


class _ProbeFeatures(BaseFeaturesExtractor):
    """`Probes` in the form in which stable-baselines3 wants a feature extractor."""

    def __init__(self, observation_space: gymnasium.spaces.Box, n_checks: int) -> None:
        super().__init__(observation_space, PROBE_WIDTH + n_checks + N_CONTEXT + N_HINDSIGHT)
        self.probes = Probes(n_checks, observation_space.shape[0] - n_checks - N_CONTEXT - N_HINDSIGHT)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.probes(observations))


class _Layers(nn.Module):
    """Hidden layers of actor and critic; the actor's inputs end where hindsight begins."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.latent_dim_pi = self.latent_dim_vf = HIDDEN_WIDTH
        self._n_seen = n_features - N_HINDSIGHT
        self.policy_net = _two_layers(self._n_seen)
        self.value_net = _two_layers(n_features)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.forward_actor(features), self.forward_critic(features)

    def forward_actor(self, features: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.policy_net(features[:, : self._n_seen]))

    def forward_critic(self, features: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.value_net(features))


class _ActorCritic(ActorCriticPolicy):
    """stable-baselines3's policy with `_Layers` between features and heads."""

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor = _Layers(self.features_dim)  # type: ignore[assignment]  # as its guide says


def _two_layers(n_inputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_inputs, HIDDEN_WIDTH), nn.Tanh(), nn.Linear(HIDDEN_WIDTH, HIDDEN_WIDTH), nn.Tanh())


def train_ppo(
    network: PolicyNetwork,
    environments: Sequence[Callable[[], gymnasium.Env[Any, Any]]],
    *,
    plan: PpoPlan,
    checkpoint: Path | None = None,
    progress: ProgressSink = no_progress,
    message: str = "Training the policy",
    critic: dict[str, torch.Tensor] | None = None,
    judge: Callable[[PolicyNetwork], float] | None = None,
) -> dict[str, torch.Tensor]:
    """Improves the network in place by PPO; goes on from the checkpoint where there is one.

    Args:
        network: The start, and the result.
        environments: Makers of environments; one for each suggestion that is played side by side.
        plan: Settings.
        checkpoint: Kept about once a minute, deleted by the caller.
        progress: Is called with the decisions taken, and how many a second.
        message: What `progress` is called with.
        critic: The critic of an earlier training, to begin with.
        judge: Gives the score of a network on other places; the best one is kept. None keeps the last one.

    Returns:
        The critic's weights, for a training that goes on elsewhere.
    """
    env = DummyVecEnv(list(environments))
    n_steps = max(2, plan.rollout // env.num_envs)
    if checkpoint is not None and checkpoint.is_file():
        model = _JudgedPPO.load(checkpoint, env=env, device="cpu")
    else:
        model = _JudgedPPO(
            _ActorCritic,
            env,
            learning_rate=lambda left: plan.learning_rate * left,
            n_steps=n_steps,
            batch_size=min(plan.batch_size, n_steps * env.num_envs),
            n_epochs=plan.epochs,
            gamma=1.0,  # a suggestion is short, and its end is part of it
            gae_lambda=0.95,
            ent_coef=0.0,  # the start is soft where actions are close; nothing else needs exploring
            target_kl=plan.target_kl,
            seed=plan.seed,
            device="cpu",
            policy_kwargs={
                "features_extractor_class": _ProbeFeatures,
                "features_extractor_kwargs": {"n_checks": network.probes.n_checks},
            },
        )
        _copy(network, model.policy, to_actor=True)
        if critic is not None:
            model.policy.load_state_dict(critic, strict=False)
    callback = _Reporter(
        steps=plan.steps,
        critic_steps=0 if critic else int(_CRITIC_SHARE * plan.steps),
        checkpoint=checkpoint,
        judge=None if judge is None else lambda: model.judge(network, judge),
        progress=progress,
        message=message,
    )
    left = plan.steps - model.num_timesteps
    if left > 0:
        model.learn(left, callback=callback, reset_num_timesteps=False)
    _copy(network, model.policy, to_actor=False)
    if judge is not None:
        model.judge(network, judge)
        assert model.best is not None
        network.load_state_dict(model.best[1])
    env.close()
    return {
        name: tensor.detach().clone()
        for name, tensor in model.policy.state_dict().items()
        if name.startswith(("mlp_extractor.value_net", "value_net"))
    }


class _JudgedPPO(PPO):
    """PPO that remembers the best actor it has been; a checkpoint holds it too.

    Attributes:
        best: Its score and its weights.
    """

    best: tuple[float, dict[str, torch.Tensor]] | None = None

    def judge(self, network: PolicyNetwork, score_of: Callable[[PolicyNetwork], float]) -> None:
        """Compares the actor as it is now with the best so far; `network` is overwritten."""
        _copy(network, self.policy, to_actor=False)
        score = score_of(network)
        if self.best is None or score > self.best[0]:
            self.best = score, copy.deepcopy(network.state_dict())


class _Reporter(BaseCallback):
    """Reports, checkpoints, asks the judge, and holds the actor still while the critic learns."""

    def __init__(
        self,
        *,
        steps: int,
        critic_steps: int,
        checkpoint: Path | None,
        judge: Callable[[], None] | None,
        progress: ProgressSink,
        message: str,
    ) -> None:
        super().__init__()
        self._steps, self._critic_steps, self._checkpoint = steps, critic_steps, checkpoint
        self._judge, self._sink, self._message = judge, progress, message
        self._saved_s = time.monotonic()
        self._judged_at = -_JUDGE_EVERY  # the start is judged too

    def _on_training_start(self) -> None:
        self._began_s, self._began_at = time.monotonic(), self.num_timesteps

    def _on_rollout_start(self) -> None:
        moves = self.num_timesteps >= self._critic_steps
        for parameter in _actor(self.model.policy).parameters():
            parameter.requires_grad_(moves)
        elapsed_s = time.monotonic() - self._began_s
        speed = (self.num_timesteps - self._began_at) / elapsed_s if elapsed_s > 1.0 else 0.0
        self._sink(f"{self._message} ({speed:.0f} decisions/s)", min(self.num_timesteps, self._steps), self._steps)
        if self._judge is not None and moves and self.num_timesteps - self._judged_at >= _JUDGE_EVERY:
            self._judged_at = self.num_timesteps
            self._judge()
        if self._checkpoint is not None and time.monotonic() - self._saved_s > _CHECKPOINT_EVERY_S:
            self._saved_s = time.monotonic()
            with written_whole(self._checkpoint) as partial:
                self.model.save(partial)

    def _on_step(self) -> bool:
        return True


def _actor(policy: BasePolicy) -> nn.ModuleList:
    assert isinstance(policy, ActorCriticPolicy)
    return nn.ModuleList(
        [policy.features_extractor, policy.mlp_extractor.policy_net, policy.action_net],
    )


def _copy(network: PolicyNetwork, policy: ActorCriticPolicy, *, to_actor: bool) -> None:
    """Copies the weights between the network and stable-baselines3's actor."""
    hidden = policy.mlp_extractor.policy_net
    features = policy.features_extractor
    assert isinstance(features, _ProbeFeatures)
    pairs: tuple[tuple[nn.Module, nn.Module], ...] = (
        (network.probes, features.probes),
        (network.hidden1, hidden[0]),
        (network.hidden2, hidden[2]),
        (network.action, policy.action_net),
    )
    for ours, theirs in pairs:
        source, target = (ours, theirs) if to_actor else (theirs, ours)
        target.load_state_dict(source.state_dict())
