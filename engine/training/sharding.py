"""Weights that several processes share: each holds a part of every layer, and gathers it for as long as it runs.

Fully sharded data parallelism (arXiv 2304.11277) by torch's own `fully_shard`, on GPUs and on CPUs, among the processes
that `accelerate launch` starts. Knows nothing of what is trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from accelerate import PartialState
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn


@dataclass(frozen=True, slots=True)
class Ranks:
    """The processes that train together.

    Attributes:
        count: How many there are.
        own: Which of them this one is, from 0 on.
        device: What this one computes on: "cuda" or "cpu".
    """

    count: int
    own: int
    device: str

    @classmethod
    def here(cls) -> Ranks:
        """Takes this process' place among them, and its GPU, at the first call."""
        state = PartialState(cpu=not torch.cuda.is_available())
        return cls(state.num_processes, state.process_index, state.device.type)

    def least(self, number: int) -> int:
        """The least that any of them gives: all processes must ask for it."""
        found = torch.tensor(number, device=self.device)
        if self.count > 1:
            torch.distributed.all_reduce(found, torch.distributed.ReduceOp.MIN)
        return int(found)


def shard(model: nn.Module, layers: Sequence[nn.Module], ranks: Ranks) -> None:
    """Leaves each process its share of the weights, on its own device.

    Args:
        model: The same in every process; changed in place.
        layers: Those of its parts that are gathered one at a time; the rest is gathered all the while.
        ranks: The processes.
    """
    mesh = init_device_mesh(ranks.device, (ranks.count,))
    for module in (*layers, model):
        fully_shard(module, mesh=mesh)
        assert isinstance(module, FSDPModule)
        module.set_force_sum_reduction_for_comms(enable=True)  # gloo, the CPUs' way to talk, knows no mean


def whole(parameter: torch.Tensor) -> torch.Tensor:
    """A weight on the CPU, gathered where it is shared: all processes must ask for it."""
    value = parameter.detach()
    return (value.full_tensor() if isinstance(value, DTensor) else value).cpu()
