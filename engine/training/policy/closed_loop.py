"""The decision process over the real decoder: exit errors compound as they will in use.

The decoder runs in a thread of its own; its policy hands each observation to the environment and waits for the action.
Energy is the decoder's own count of work, kept text is judged against what stands in the file.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import torch

from engine.completion.kept import kept_characters
from engine.completion.site import offered
from engine.policy.base import Action, ExitCandidate, OperatingPoint
from engine.policy.learned import ACTIONS, N_CONTEXT, context_features
from engine.policy.operating_point import point_for
from engine.training.policy.env import EpisodeKind, Observation, draw_kind, spaces
from engine.training.policy.recordings import MAX_NEW_TOKENS, TrainingPlace, site_at
from engine.training.policy.rewards import decoding_energy, reward
from engine.training.policy.rollout import N_HINDSIGHT
from engine.types import DEFAULT_GREEN_MODE, FinishReason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.energy.cost_model import DeviceCostModel
    from engine.policy.base import ExitPolicy
    from engine.text import DecodedText, TextDecoder
    from engine.training.policy.network import Standardization
    from engine.types import Phase, Work

_EPISODES_A_PLACE = 3  # with other energy weights: the prompt is in the cache already


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one suggestion of the real decoder cost and gave.

    Attributes:
        energy: Energy of everything but the prompt, in tokens at full depth.
        kept_chars: Characters kept.
        exit_layers: The layers that chose each token but the first, which comes with the prompt.
        n_tokens: Tokens decoded, the first included.
        stopped: Whether the policy ended it.
    """

    energy: float
    kept_chars: int
    exit_layers: tuple[int, ...]
    n_tokens: int
    stopped: bool


def usual_point(energy_weight: float, green_mode: int = DEFAULT_GREEN_MODE) -> OperatingPoint:
    """What the slider means to the decoder at an energy weight, all else as at a green mode."""
    is_lossless = energy_weight == 0.0
    point = point_for(green_mode, energy_weight, lossless=is_lossless)
    return replace(point, whole_head=is_lossless)  # lossless text is the plain one that others are compared with


class _Cancellation:
    def __init__(self) -> None:
        self.is_cancelled = False


class Episode:
    """One run of the decoder at a place, with its text as far as it is emitted.

    Args:
        texts: Decodes; it keeps the prompt's cache between runs at one place.
        place: The place to decode at.
        kind: The energy weight, and whether the product's end rules hold.
        point: What the slider means to the decoder; None for `usual_point`.
    """

    def __init__(
        self, texts: TextDecoder, place: TrainingPlace, kind: EpisodeKind, *, point: OperatingPoint | None = None
    ) -> None:
        self._point = point or usual_point(kind.energy_weight)
        self._truth = place.truth
        site = site_at(place)
        self._run = texts.at(
            site if kind.with_end_rules else replace(site, is_ruled=False), max_new_tokens=MAX_NEW_TOKENS
        )
        self._said: DecodedText | None = None
        self.cancellation = _Cancellation()

    @property
    def kept_chars(self) -> int:
        """Characters kept of what is offered; before the end, of what would be if the policy ended it here."""
        said, run = self._said, self._run
        text = offered(run.site, run.text_of(run.ids), FinishReason.POLICY) if said is None else said.text
        return kept_characters(text, self._truth)

    @property
    def work(self) -> Mapping[Phase, Work]:
        """What it has cost so far."""
        return self._run.decoder.work.by_phase()

    def run(self, policy: ExitPolicy) -> DecodedText:
        """Decodes to the end."""
        self._said = self._run.decode(
            policy, self._point, max_new_tokens=MAX_NEW_TOKENS, cancellation=self.cancellation
        )
        return self._said


def play(
    texts: TextDecoder,
    place: TrainingPlace,
    policy: ExitPolicy,
    *,
    kind: EpisodeKind,
    cost: DeviceCostModel,
    point: OperatingPoint | None,
) -> Outcome:
    """Runs one suggestion with a policy and accounts for it.

    Args:
        texts: Decodes; it keeps the prompt's cache between runs at one place.
        place: The place to decode at.
        policy: The policy that decides.
        kind: The energy weight, and whether the product's end rules hold.
        cost: Joules for each unit of work.
        point: What the slider means to the decoder; None for `usual_point`.
    """
    episode = Episode(texts, place, kind, point=point)
    said = episode.run(policy)
    return Outcome(
        energy=decoding_energy(cost, said.work),
        kept_chars=episode.kept_chars,
        exit_layers=said.exit_layers[1:],
        n_tokens=len(said.token_ids),
        stopped=said.finish_reason is FinishReason.POLICY,
    )


class ClosedLoopEnv(gymnasium.Env[Observation, np.int64]):
    """Suggestions of the real decoder; close it to end its thread."""

    def __init__(
        self,
        texts: TextDecoder,
        places: Sequence[TrainingPlace],
        check_layers: Sequence[int],
        standardization: Standardization,
        *,
        cost: DeviceCostModel,
        mean_chars: float,
    ) -> None:
        self._places, self._cost, self._mean_chars = places, cost, mean_chars
        self._check_layers, self._standardization = tuple(check_layers), standardization
        self.observation_space, self.action_space = spaces(
            standardization.mean.shape[1] + len(self._check_layers) + N_CONTEXT + N_HINDSIGHT
        )
        self._texts = texts
        self._thread: threading.Thread | None = None
        self._n_episodes = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begins a suggestion in which there is something to decide."""
        super().reset(seed=seed)
        self._end_thread()
        while True:
            if self._n_episodes % _EPISODES_A_PLACE == 0:
                self._place = self._places[int(self.np_random.integers(len(self._places)))]
            self._n_episodes += 1
            self._begin(draw_kind(self.np_random))
            observation = self._next()
            if observation is not None:
                self._energy, self._kept = self._spent(), self._episode.kept_chars
                return observation, {}

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Takes one decision."""
        self._actions.put(ACTIONS[int(action)])
        observation = self._next()
        energy, kept = self._spent(), self._episode.kept_chars
        gained = reward(
            self._kind.energy_weight,
            kept_tokens=(kept - self._kept) / self._mean_chars,
            energy=energy - self._energy,
        )
        self._energy, self._kept = energy, kept
        if observation is None:
            return np.zeros(self.observation_space.shape or (), dtype=np.float32), gained, True, False, {}
        return observation, gained, False, False, {}

    def close(self) -> None:
        """Ends the decoder's thread."""
        self._end_thread()

    def _begin(self, kind: EpisodeKind) -> None:
        self._kind = kind
        self._episode = Episode(self._texts, self._place, kind)
        self._actions: queue.SimpleQueue[Action] = queue.SimpleQueue()
        self._observations: queue.SimpleQueue[Observation | BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._decode, name="closed-loop decoder", daemon=True)
        self._thread.start()

    def _decode(self) -> None:
        bridge = _Bridge(self._check_layers, self._standardization, self._kind, self._observations, self._actions)
        try:
            self._episode.run(bridge)
        except Exception as error:  # raised again where it is waited for
            self._observations.put(error)
        else:
            self._observations.put(None)

    def _next(self) -> Observation | None:
        """The next observation; None at the end."""
        answer = self._observations.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _spent(self) -> float:
        return decoding_energy(self._cost, self._episode.work)

    def _end_thread(self) -> None:
        if self._thread is None:
            return
        self._episode.cancellation.is_cancelled = True
        self._actions.put(Action.CONTINUE)
        self._thread.join()
        self._thread = None


class _Bridge:
    """The decoder's policy: observations out, actions in."""

    def __init__(
        self,
        check_layers: Sequence[int],
        standardization: Standardization,
        kind: EpisodeKind,
        observations: queue.SimpleQueue[Any],
        actions: queue.SimpleQueue[Action],
    ) -> None:
        self._index = {layer: index for index, layer in enumerate(check_layers)}
        self._standardization, self._kind = standardization, kind
        self._observations, self._actions = observations, actions

    @property
    def name(self) -> str:
        """See `ExitPolicy.name`."""
        return "in training"

    def decide(self, candidate: ExitCandidate) -> Action:
        """See `ExitPolicy.decide`."""
        index = self._index.get(candidate.exit_layer)
        if index is None:
            return Action.CONTINUE
        mean, std = self._standardization.mean[index], self._standardization.std[index]
        one_hot = torch.zeros(len(self._index))
        one_hot[index] = 1.0
        may_stop = self._kind.may_stop and self._kind.energy_weight > 0.0
        context = context_features(
            n_waiting=candidate.n_waiting,
            n_emitted=candidate.n_emitted,
            n_drafts=candidate.n_drafts,
            energy_weight=candidate.energy_weight,
            may_stop=may_stop,
            text_chance=candidate.text_chance(),
            guess_chance=candidate.guess_chance(),
        )
        state = (torch.from_numpy(candidate.hidden()) - mean) / std
        self._observations.put(torch.cat((state, one_hot, torch.tensor(context), torch.zeros(N_HINDSIGHT))).numpy())
        action = self._actions.get()
        return Action.CONTINUE if action is Action.STOP and not may_stop else action
