"""How good a policy is over the range of energy weights, and which weight each green mode means.

Green modes should save energy in even steps, so the weights between the ends are chosen on validation places by the
energy that the policy then spends, first on recordings, then on the decoder. The mapping is stored with the policy.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from engine.policy.base import Action
from engine.policy.learned import ACTIONS, SLIDER_POINTS
from engine.training.policy.env import observe
from engine.training.policy.rewards import WEIGHT_MAX, reward
from engine.training.policy.rollout import EnvParams, Rollout, full_depth_energy
from engine.types import GREEN_MODE_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.training.policy.closed_loop import Outcome
    from engine.training.policy.env import Scene
    from engine.training.policy.network import PolicyNetwork

WEIGHTS = (0.0, *(round(0.05 + 0.025 * step, 3) for step in range(33)))

_BELOW, _BEYOND = 0.8, 0.05  # recordings may be wrong about the ends
_LEAST_KEPT = 0.5
"""Green mode 100 is the largest weight at which this share of full depth's kept text is left: greenest, not silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A policy at one energy weight, on many places.

    Attributes:
        energy_weight: The weight w of energy in the reward.
        reward: Mean reward of a suggestion.
        energy_share: Energy as a share of full depth's on the same places, prompts apart.
        kept_share: Kept characters as a share of full depth's.
        kept_chars: Mean kept characters of a suggestion.
        mean_layers: Mean layers of a token.
        tokens: Mean tokens of a suggestion.
        stop_share: Share of suggestions that the policy ended.
    """

    energy_weight: float
    reward: float
    energy_share: float
    kept_share: float
    kept_chars: float
    mean_layers: float
    tokens: float
    stop_share: float


@torch.inference_mode()
def sweep(
    network: PolicyNetwork, scenes: Sequence[Scene], params: EnvParams, weights: Sequence[float] = WEIGHTS
) -> list[Point]:
    """Replays every scene at every weight, each decision the best-scored one, with the product's end rules.

    At weight 0 it is the product's green mode 0 that is played: full depth, with lookup drafts, without the network.

    Args:
        network: The policy's network.
        scenes: Recorded places.
        params: What the replay charges and rewards.
        weights: The energy weights, one point each.
    """
    full = [full_depth_energy(scene.recording, params) for scene in scenes]
    full_kept = sum(scene.recording.kept_ruled[scene.recording.end] for scene in scenes)
    points = []
    for weight in weights:
        rollouts = _played(network, list(scenes), params, weight)
        played_energy = sum(rollout.energy for rollout in rollouts)
        kept = sum(rollout.kept_chars for rollout in rollouts)
        n_decided = sum(rollout.n_emitted - 1 for rollout in rollouts)
        rewards = sum(
            reward(weight, kept_tokens=rollout.kept_chars / params.mean_chars, energy=rollout.energy)
            for rollout in rollouts
        )
        points.append(
            Point(
                energy_weight=weight,
                reward=rewards / len(rollouts),
                energy_share=played_energy / sum(full),
                kept_share=kept / max(1, full_kept),
                kept_chars=kept / len(rollouts),
                mean_layers=sum(rollout.n_layers for rollout in rollouts) / max(1, n_decided),
                tokens=sum(rollout.n_emitted for rollout in rollouts) / len(rollouts),
                stop_share=sum(rollout.stopped for rollout in rollouts) / len(rollouts),
            )
        )
    return points


def point_of(weight: float, outcomes: Sequence[Outcome], baseline: Sequence[Outcome], mean_chars: float) -> Point:
    """The same figures from runs of the real decoder, against those at full depth on the same places.

    Args:
        weight: The energy weight of the runs.
        outcomes: One run for each place.
        baseline: The runs at full depth, place by place.
        mean_chars: Characters of a token, on average.
    """
    layers = [layer for outcome in outcomes for layer in outcome.exit_layers]
    kept = sum(outcome.kept_chars for outcome in outcomes)
    energy = sum(outcome.energy for outcome in outcomes)
    gained = sum(
        reward(weight, kept_tokens=outcome.kept_chars / mean_chars, energy=outcome.energy) for outcome in outcomes
    )
    return Point(
        energy_weight=weight,
        reward=gained / len(outcomes),
        energy_share=energy / sum(outcome.energy for outcome in baseline),
        kept_share=kept / max(1, sum(outcome.kept_chars for outcome in baseline)),
        kept_chars=kept / len(outcomes),
        mean_layers=sum(layers) / max(1, len(layers)),
        tokens=sum(outcome.n_tokens for outcome in outcomes) / len(outcomes),
        stop_share=sum(outcome.stopped for outcome in outcomes) / len(outcomes),
    )


def mean_reward(points: Sequence[Point]) -> float:
    """One figure for a policy: its reward, averaged over the weights."""
    return sum(point.reward for point in points) / len(points)


def slider_weights(points: Sequence[Point]) -> tuple[float, ...]:
    """The weight of green mode 0, 10, ..., 100, such that energy falls from one to the next in even steps.

    Green mode 0 is lossless. Where the least weight already spends less than the first step asks for, that step is
    larger and the others share the rest. Energies are made monotone first: a policy may be a little worse somewhere.

    Args:
        points: A sweep, ascending in weight, the first at 0.
    """
    lossless, lossy = points[0], [point for point in points[1:] if point.kept_share >= _LEAST_KEPT] or [points[1]]
    energies = list(itertools.accumulate((point.energy_share for point in lossy), min))
    first = lossless.energy_share
    even = [first + (energies[-1] - first) * step / (SLIDER_POINTS - 1) for step in range(1, SLIDER_POINTS)]
    if energies[0] < even[0]:
        even = np.linspace(energies[0], energies[-1], SLIDER_POINTS - 1).tolist()
    # np.interp wants the energies ascending, and no two alike.
    rising = {energy: point.energy_weight for energy, point in zip(energies, lossy, strict=True)}
    known = sorted(rising)
    weights = np.interp(even, known, [rising[energy] for energy in known])
    return (0.0, *np.maximum.accumulate(weights).round(4).tolist())


def between(weights: Sequence[float]) -> tuple[float, ...]:
    """These weights and the means of neighbours, ascending and each once: where the decoder is tried."""
    lossy = weights[1:]  # the first is lossless: nothing lies beside it
    means = [(a + b) / 2 for a, b in itertools.pairwise(lossy)]
    ends = [lossy[0] * _BELOW, min(lossy[-1] + _BEYOND, WEIGHT_MAX)]
    return tuple(sorted({*weights, *(round(weight, 4) for weight in (*means, *ends))}))


def modes_of(weights: Sequence[float], slider: Sequence[float]) -> list[int]:
    """The green modes at which a slider has these weights, or the nearest to them."""
    steps = np.interp(weights, slider, np.linspace(0, GREEN_MODE_MAX, SLIDER_POINTS))
    return [round(float(step)) for step in steps]


def validation_table(points: Sequence[Point]) -> str:
    """A Markdown table of the points of green mode 0, 10, ..., 100."""
    rows = [
        "| green mode | w | energy | kept text | kept characters | mean layers | tokens | ended by the policy |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {GREEN_MODE_MAX * step // (SLIDER_POINTS - 1)} | {point.energy_weight:.3f} | {point.energy_share:.3f} "
        f"| {point.kept_share:.3f} | {point.kept_chars:.1f} | {point.mean_layers:.1f} | {point.tokens:.1f} "
        f"| {point.stop_share:.2f} |"
        for step, point in enumerate(points)
    ]
    return "\n".join(rows)


def _played(network: PolicyNetwork, scenes: list[Scene], params: EnvParams, weight: float) -> list[Rollout]:
    rollouts = [
        Rollout(scene.recording, params, energy_weight=weight, may_stop=True, with_end_rules=True) for scene in scenes
    ]
    n_checks = len(params.check_layers)
    while True:
        playing = [(rollout, scene) for rollout, scene in zip(rollouts, scenes, strict=True) if not rollout.is_over]
        if not playing:
            return rollouts
        seen = np.stack([observe(rollout, scene, n_checks) for rollout, scene in playing])
        scores = network(torch.from_numpy(seen))
        if weight == 0.0:
            scores[:, ACTIONS.index(Action.CONTINUE)] = torch.inf
        for (rollout, _), choice in zip(playing, scores.argmax(1).tolist(), strict=True):
            rollout.act(ACTIONS[choice])
