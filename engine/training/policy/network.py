"""The policy's network in training: the same layers as `engine.policy.learned` runs, in batches and with gradients.

It sees standardised states; the standardisation is folded into the probes when it is exported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from engine.policy.learned import ACTIONS, N_CONTEXT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from engine.training.policy.recordings import Recording

PROBE_WIDTH = 32
HIDDEN_WIDTH = 64

_LEAST_STD = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Standardization:
    """Mean and deviation of the state at each check layer, [K, D] each."""

    mean: torch.Tensor
    std: torch.Tensor

    @classmethod
    def of(cls, states: torch.Tensor) -> Standardization:
        """Computes both from states [N, K, D]."""
        return cls(mean=states.float().mean(0), std=states.float().std(0).clamp_min(_LEAST_STD))

    def apply(self, states: torch.Tensor) -> torch.Tensor:
        """Standardises states [..., K, D]."""
        return (states.float() - self.mean) / self.std


class Probes(nn.Module):
    """One linear probe for each check layer: observations [B, D + K + C + ...] to features.

    Features [B, P + K + C + ...] are what the probe reads, and what stands behind the state as it is.
    """

    def __init__(self, n_checks: int, width: int) -> None:
        super().__init__()
        self.n_checks, self.width = n_checks, width
        scale = width**-0.5
        self.weight = nn.Parameter(torch.empty(n_checks, PROBE_WIDTH, width).uniform_(-scale, scale))
        self.bias = nn.Parameter(torch.zeros(n_checks, PROBE_WIDTH))

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Reads each state through the probe of the check layer that its one-hot names."""
        state, rest = observations[:, : self.width], observations[:, self.width :]
        return torch.cat((self.read(state, rest[:, : self.n_checks].argmax(1)), rest), dim=1)

    def read(self, states: torch.Tensor, checks: torch.Tensor) -> torch.Tensor:
        """States [B, D] at check layers of index [B] to [B, P]."""
        # All probes in one product: for a few check layers cheaper than gathering a matrix for each state.
        every = (states @ self.weight.flatten(0, 1).T).view(-1, self.n_checks, PROBE_WIDTH) + self.bias
        return every[torch.arange(len(states), device=states.device), checks].tanh()


class PolicyNetwork(nn.Module):
    """Probes, two hidden layers, and a score for each action."""

    def __init__(self, n_checks: int, width: int) -> None:
        super().__init__()
        self.probes = Probes(n_checks, width)
        self.hidden1 = nn.Linear(PROBE_WIDTH + n_checks + N_CONTEXT, HIDDEN_WIDTH)
        self.hidden2 = nn.Linear(HIDDEN_WIDTH, HIDDEN_WIDTH)
        self.action = nn.Linear(HIDDEN_WIDTH, len(ACTIONS))

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Observations [B, D + K + C] to scores [B, A]."""
        return self.score(self.probes(observations))

    def score(self, features: torch.Tensor) -> torch.Tensor:
        """Features of `Probes` [B, P + K + C] to scores [B, A]."""
        hidden = self.hidden1(features).tanh()
        return torch.as_tensor(self.action(self.hidden2(hidden).tanh()))

    def exported(self, standardization: Standardization) -> dict[str, NDArray[np.float32]]:
        """The weights as `engine.policy.learned.TENSORS`, for states as the decoder gives them."""
        weight = self.probes.weight / standardization.std.unsqueeze(1)  # [K, P, D]
        tensors = {
            "probe.weight": weight,
            "probe.bias": self.probes.bias - (weight @ standardization.mean.unsqueeze(2)).squeeze(2),
            "hidden1.weight": self.hidden1.weight,
            "hidden1.bias": self.hidden1.bias,
            "hidden2.weight": self.hidden2.weight,
            "hidden2.bias": self.hidden2.bias,
            "action.weight": self.action.weight,
            "action.bias": self.action.bias,
        }
        return {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}


def standardization_of(recordings: Sequence[Recording]) -> Standardization:
    """The standardisation over all recorded states."""
    return Standardization.of(torch.cat([recording.states for recording in recordings]))
