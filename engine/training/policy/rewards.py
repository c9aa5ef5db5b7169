"""What a decision is worth: joules in units of a full-depth token, kept text in the same currency.

    reward = (1 - w) KEPT_WORTH (kept characters / mean characters a token) - w (energy / energy of a full-depth token)

paid as increments. At w = 0 the text is full depth's whatever the policy does, so quality is a constant and the limit
of the reward's order is the energy alone: there the reward is minus the energy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.energy.cost_model import energy_j
from engine.types import Phase, Work

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.energy.cost_model import DeviceCostModel

KEPT_WORTH = 10.0
"""At w = 0.5 a kept token is worth the energy of so many tokens at full depth."""

WEIGHT_MIN, WEIGHT_MAX = 0.02, 0.85
"""The range of w in training. Near its end a token is worth its energy only where it is kept for certain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Energy of units of work, in tokens at full depth with a KV cache.

    Attributes:
        layer: Price of one layer pass.
        row: Price of one further position in a layer pass.
        head: Price of one pass of the LM head.
        head_row: Price of one further position in it.
        check: Price of one policy check.
        n_layers: The model's full depth, in layers.
        shortlist: Share of the head that an exit reads.
        context: Price of one position that a layer pass attends to.
        context_row: Price of one that a further position of the pass attends to.
    """

    layer: float
    row: float
    head: float
    head_row: float
    check: float
    n_layers: int
    shortlist: float = 1.0
    context: float = 0.0
    context_row: float = 0.0


def full_depth_token_j(cost: DeviceCostModel) -> float:
    """The joules of one decoded token at full depth with a KV cache, what it attends to apart."""
    n_layers = cost.n_layers
    return energy_j(cost, Work(tokens=1, layer_passes=n_layers, layer_tokens=n_layers, head_passes=1, head_tokens=1))


def prices_of(cost: DeviceCostModel, shortlist: float) -> Prices:
    """The prices that the device cost model gives to each unit; `shortlist` is `EarlyExitModel.shortlist_share`."""
    token_j = full_depth_token_j(cost)

    def price(work: Work) -> float:
        return energy_j(cost, work) / token_j

    return Prices(
        layer=price(Work(layer_passes=1, layer_tokens=1)),
        row=price(Work(layer_tokens=1)),
        head=price(Work(head_passes=1, head_tokens=1)),
        head_row=price(Work(head_tokens=1)),
        check=price(Work(policy_checks=1)),
        n_layers=cost.n_layers,
        shortlist=shortlist,
        context=price(Work(context_passes=1, context_tokens=1)),
        context_row=price(Work(context_tokens=1)),
    )


def decoding_energy(cost: DeviceCostModel, work: Mapping[Phase, Work]) -> float:
    """Energy of everything but the prompt, in tokens at full depth."""
    decoding_j = sum(energy_j(cost, done) for phase, done in work.items() if phase is not Phase.PREFILL)
    return decoding_j / full_depth_token_j(cost)


def reward(energy_weight: float, *, kept_tokens: float, energy: float) -> float:
    """The reward of one step; see the module.

    Args:
        energy_weight: The weight w of energy.
        kept_tokens: Newly kept characters, over the mean characters of a token.
        energy: Energy spent, in tokens at full depth.
    """
    if energy_weight == 0.0:
        return -energy
    return (1.0 - energy_weight) * KEPT_WORTH * kept_tokens - energy_weight * energy
