"""Gymnasium environments of the decision process: one step is one exit candidate of one token.

`RolloutEnv` plays recorded suggestions; `engine.training.policy.closed_loop` has the one over the real decoder. Both
draw the user's energy weight for each episode, and show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from engine.policy.learned import ACTIONS, N_CONTEXT, context_features
from engine.training.policy.rewards import WEIGHT_MAX
from engine.training.policy.rollout import N_HINDSIGHT, EnvParams, Rollout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from engine.training.policy.network import Standardization
    from engine.training.policy.recordings import Recording

_LEAST_WEIGHT = 0.3  # that is drawn: below it energy hardly counts, and what rewards teach there is luck
_DROPOUT = 0.5  # of the state's dimensions: else PPO knows a few hundred recordings by heart
_LOSSLESS_SHARE = 0.12  # of episodes
_NO_STOP_SHARE = 0.2  # ... of the others in which STOP means CONTINUE: the policy must be good without it too
_BLIND_SHARE = 0.15  # ... in which the critic has no hindsight: it has none on the real decoder
_NO_RULES_SHARE = 0.2  # ... that run on past the product's end rules: there STOP is all that ends them

Observation = Any  # NDArray[np.float32] [D + K + C + H]; gymnasium's own types know no more


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeKind:
    """What is drawn for an episode."""

    energy_weight: float
    may_stop: bool
    with_end_rules: bool


def draw_kind(rng: np.random.Generator) -> EpisodeKind:
    """Draws the energy weight, uniform where it matters or 0, and the rarer kinds of episode."""
    if rng.random() < _LOSSLESS_SHARE:
        return EpisodeKind(energy_weight=0.0, may_stop=False, with_end_rules=True)
    return EpisodeKind(
        energy_weight=float(rng.uniform(_LEAST_WEIGHT, WEIGHT_MAX)),
        may_stop=bool(rng.random() >= _NO_STOP_SHARE),
        with_end_rules=bool(rng.random() >= _NO_RULES_SHARE),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A recording, ready to be shown: its states standardised, [N - 1, K, D] in fp16."""

    recording: Recording
    states: NDArray[np.float16]


def scenes_of(recordings: Sequence[Recording], standardization: Standardization) -> list[Scene]:
    """Prepares recordings for many rollouts."""
    return [
        Scene(recording=each, states=standardization.apply(each.states).clamp(-1e4, 1e4).half().numpy())
        for each in recordings
    ]


def observe(rollout: Rollout, scene: Scene, n_checks: int) -> NDArray[np.float32]:
    """What the policy sees of a rollout that is not over: [D + K + C]."""
    state = scene.states[rollout.row, rollout.check]
    observation = np.zeros(state.shape[0] + n_checks + N_CONTEXT, dtype=np.float32)
    observation[: state.shape[0]] = state
    observation[state.shape[0] + rollout.check] = 1.0
    observation[-N_CONTEXT:] = context_features(
        n_waiting=rollout.n_waiting,
        n_emitted=rollout.n_emitted,
        n_drafts=rollout.n_drafts,
        energy_weight=rollout.energy_weight,
        may_stop=rollout.may_stop,
        text_chance=rollout.text_chance,
        guess_chance=rollout.guess_chance,
    )
    return observation


def spaces(width: int) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Discrete]:
    """The spaces of observations of `width` numbers and of actions."""
    bound = np.full(width, np.inf, dtype=np.float32)
    return gymnasium.spaces.Box(-bound, bound, dtype=np.float32), gymnasium.spaces.Discrete(len(ACTIONS))


class RolloutEnv(gymnasium.Env[Observation, np.int64]):
    """Recorded suggestions, each decided anew.

    Args:
        scenes: The recordings.
        params: What does not change.
        dropout: The share of a state's dimensions that is hidden, other ones at each decision.
    """

    def __init__(self, scenes: Sequence[Scene], params: EnvParams, *, dropout: float = _DROPOUT) -> None:
        self._scenes, self._params, self._dropout = scenes, params, dropout
        self._n_checks = len(params.check_layers)
        width = scenes[0].states.shape[2] + self._n_checks + N_CONTEXT + N_HINDSIGHT
        self.observation_space, self.action_space = spaces(width)
        self._last = np.zeros(width, dtype=np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begins a suggestion in which there is something to decide."""
        super().reset(seed=seed)
        while True:
            self._scene = self._scenes[int(self.np_random.integers(len(self._scenes)))]
            kind = draw_kind(self.np_random)
            self._rollout = Rollout(
                self._scene.recording,
                self._params,
                energy_weight=kind.energy_weight,
                may_stop=kind.may_stop,
                with_end_rules=kind.with_end_rules,
            )
            self._is_blind = bool(self.np_random.random() < _BLIND_SHARE)
            if not self._rollout.is_over:
                return self._seen(), {}

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Takes one decision."""
        gained = self._rollout.act(ACTIONS[int(action)])
        if self._rollout.is_over:
            return self._last, gained, True, False, {}
        return self._seen(), gained, False, False, {}

    def _seen(self) -> Observation:
        hindsight = [0.0] * N_HINDSIGHT if self._is_blind else self._rollout.hindsight
        seen = observe(self._rollout, self._scene, self._n_checks)
        width = self._scene.states.shape[2]
        seen[:width] *= self.np_random.random(width, dtype=np.float32) >= self._dropout
        return np.concatenate((seen, np.array(hindsight, dtype=np.float32)))
