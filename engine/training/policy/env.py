"""Gymnasium environments of the decision process: one step is one exit candidate of one token.

`ReplayEnv` plays recorded suggestions; `engine.training.policy.closed_loop` has the one over the real decoder. Both
draw the user's energy weight for each episode, and show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from engine.policy.learned import ACTIONS, N_CONTEXT, context_features
from engine.training.policy.rewards import WEIGHT_MAX
from engine.training.policy.rollout import N_HINDSIGHT, Replay, Setting

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
    """Prepares recordings for many replays."""
    return [
        Scene(recording=each, states=standardization.apply(each.states).clamp(-1e4, 1e4).half().numpy())
        for each in recordings
    ]


def observe(replay: Replay, scene: Scene, n_checks: int) -> NDArray[np.float32]:
    """What the policy sees of a replay that is not over: [D + K + C]."""
    state = scene.states[replay.row, replay.check]
    observation = np.zeros(state.shape[0] + n_checks + N_CONTEXT, dtype=np.float32)
    observation[: state.shape[0]] = state
    observation[state.shape[0] + replay.check] = 1.0
    observation[-N_CONTEXT:] = context_features(
        n_waiting=replay.n_waiting,
        n_emitted=replay.n_emitted,
        n_drafts=replay.n_drafts,
        energy_weight=replay.energy_weight,
        may_stop=replay.may_stop,
    )
    return observation


def spaces(width: int) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Discrete]:
    """The spaces of observations of `width` numbers and of actions."""
    bound = np.full(width, np.inf, dtype=np.float32)
    return gymnasium.spaces.Box(-bound, bound, dtype=np.float32), gymnasium.spaces.Discrete(len(ACTIONS))


class ReplayEnv(gymnasium.Env[Observation, np.int64]):
    """Recorded suggestions, each decided anew.

    Args:
        scenes: The recordings.
        setting: What does not change.
        dropout: The share of a state's dimensions that is hidden, other ones at each decision.
    """

    def __init__(self, scenes: Sequence[Scene], setting: Setting, *, dropout: float = _DROPOUT) -> None:
        self._scenes, self._setting, self._dropout = scenes, setting, dropout
        self._n_checks = len(setting.check_layers)
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
            self._replay = Replay(
                self._scene.recording,
                self._setting,
                energy_weight=kind.energy_weight,
                may_stop=kind.may_stop,
                with_end_rules=kind.with_end_rules,
            )
            self._is_blind = bool(self.np_random.random() < _BLIND_SHARE)
            if not self._replay.is_over:
                return self._seen(), {}

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Takes one decision."""
        gained = self._replay.act(ACTIONS[int(action)])
        if self._replay.is_over:
            return self._last, gained, True, False, {}
        return self._seen(), gained, False, False, {}

    def _seen(self) -> Observation:
        hindsight = [0.0] * N_HINDSIGHT if self._is_blind else self._replay.hindsight
        seen = observe(self._replay, self._scene, self._n_checks)
        width = self._scene.states.shape[2]
        seen[:width] *= self.np_random.random(width, dtype=np.float32) >= self._dropout
        return np.concatenate((seen, np.array(hindsight, dtype=np.float32)))
