"""Joules of one AMD GPU on Linux: its power, as the driver tells it to everybody, polled and integrated.

The driver shows each GPU as a folder of hwmon, whose `device` is its place on the PCI bus. It has no counter of energy
there. Knows no torch. See https://docs.kernel.org/gpu/amdgpu/thermal.html.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from engine.energy.nvml import SampledPowerMeter
from engine.errors import MeterError
from engine.sentences import Sentence

HWMON_ROOT = Path("/sys/class/hwmon")

_DRIVER = "amdgpu"
_POWERS = ("power1_average", "power1_input")  # microwatts; a card has one of them, or both


def open_amdgpu_meter(root: Path = HWMON_ROOT, *, pci_address: str | None = None) -> SampledPowerMeter:
    """Polls the power of the GPU in use.

    Args:
        root: The hwmon folder.
        pci_address: The GPU's place, such as "0000:03:00.0"; None is enough on a machine with one AMD GPU.

    Raises:
        MeterError: There is no such GPU, or it tells no power.
    """
    found = {(folder / "device").resolve().name: folder for folder in sorted(root.glob("hwmon*")) if _is_ours(folder)}
    if pci_address is None and len(found) != 1:
        told = Sentence("This machine has {n} AMD GPUs, and which of them is in use is not known.", n=len(found))
        raise MeterError(told)
    address = next(iter(found)) if pci_address is None else pci_address
    if address not in found:
        raise MeterError(Sentence("The AMD GPU at {address} shows no power under {root}.", address=address, root=root))
    power = next((path for name in _POWERS if (path := found[address] / name).exists()), None)
    if power is None:
        raise MeterError(Sentence("The AMD GPU at {address} does not tell its power.", address=address))
    return SampledPowerMeter(partial(_read_power_w, power), name=f"amdgpu power, GPU {address}")


def _is_ours(folder: Path) -> bool:
    try:
        return (folder / "name").read_text(encoding="ascii", errors="replace").strip() == _DRIVER
    except OSError:
        return False


def _read_power_w(path: Path) -> float:
    try:
        return int(path.read_text(encoding="ascii", errors="replace")) / 1e6
    except OSError as error:
        told = Sentence("The AMD GPU's power {path} cannot be read: {reason}.", path=path, reason=error.strerror)
        raise MeterError(told) from None
    except ValueError:
        raise MeterError(Sentence("The AMD GPU's power {path} holds no number.", path=path)) from None
