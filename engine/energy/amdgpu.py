"""Joules of one AMD GPU on Linux: its power, as the driver tells it to everybody, polled and integrated.

The driver has no counter of energy there. Knows no torch. See https://docs.kernel.org/gpu/amdgpu/thermal.html.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from engine.energy.hwmon import HWMON_ROOT, find_gpu, limit_w
from engine.energy.nvml import SampledPowerMeter
from engine.errors import MeterError
from engine.sentences import Sentence

if TYPE_CHECKING:
    from pathlib import Path

_DRIVERS = frozenset({"amdgpu"})
_LIMIT = ("power1_cap",)  # microwatts
_POWERS = ("power1_average", "power1_input")  # microwatts; a card has one of them, or both


def open_amdgpu_meter(root: Path = HWMON_ROOT, *, pci_address: str | None = None) -> SampledPowerMeter:
    """Polls the power of the GPU in use.

    Args:
        root: The hwmon folder.
        pci_address: The GPU's place, such as "0000:03:00.0"; None is enough on a machine with one AMD GPU.

    Raises:
        MeterError: There is no such GPU, or it tells no power.
    """
    gpu = find_gpu(root, maker="AMD", drivers=_DRIVERS, pci_address=pci_address)
    power = next((name for name in _POWERS if (gpu.folder / name).exists()), None)
    if power is None:
        raise MeterError(Sentence("The AMD GPU at {address} does not tell its power.", address=gpu.address))
    return SampledPowerMeter(partial(gpu.millionths, power), name=f"amdgpu power, GPU {gpu.address}")


def amdgpu_limit_w(root: Path = HWMON_ROOT, *, pci_address: str | None = None) -> float | None:
    """The watts that the driver lets the GPU in use take; None where it does not tell."""
    return limit_w(root, _LIMIT, maker="AMD", drivers=_DRIVERS, pci_address=pci_address)
