"""Joules of one Intel graphics card on Linux, from the counter that its driver shows to everybody. Knows no torch.

i915 and xe show cards alone: the graphics of a CPU are in the counter of the CPU's package. "energy1_input" is of the
whole card, where a label says so; without one it may be the package's, the GPU without what is round it, which a label
says of "energy2_input". A package is a part of its card, and so never added to it. Tiles, which i915 shows as devices
of their own ("i915_gt0"), are parts too. See
https://docs.kernel.org/admin-guide/abi-testing.html, sysfs-driver-intel-i915-hwmon and sysfs-driver-intel-xe-hwmon.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

from engine.energy.hwmon import HWMON_ROOT, find_gpu, limit_w, read_text
from engine.energy.load import watch_nobody
from engine.errors import CounterResetError, MeterError
from engine.sentences import Sentence
from engine.types import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.energy.hwmon import ShownGpu

INTEL_REFRESH_S = 0.1
"""Assumption: Intel does not say how often the counter is updated; as seldom as NVIDIA's."""

MAX_CARD_W = 1_000.0
"""More than any card draws: Intel's largest is rated at 600 W."""

INTEGRATED_ADDRESS = "0000:00:02.0"
"""Where the graphics of an Intel CPU are on the PCI bus; no card is there."""

_DRIVERS = frozenset({"i915", "xe"})
_COUNTERS = ("energy1_input", "energy2_input")  # microjoules; the better first
_LIMITS = ("power1_max", "power2_max", "power1_rated_max", "power2_rated_max")  # microwatts; as they are set, as built
_LATE_S = 2 * INTEL_REFRESH_S  # by which updates may lag behind the clock
_VENDOR = 0x8086
_UUID = struct.Struct("<HHHHBBB5x")  # vendor, device, revision; domain, bus, device and function; the rest


def open_intel_meter(
    root: Path = HWMON_ROOT, *, pci_address: str | None = None, clock: Callable[[], float] = time.monotonic
) -> IntelGpuMeter:
    """Opens the energy counter of the card in use.

    Args:
        root: The hwmon folder.
        pci_address: The card's place, such as "0000:03:00.0"; None is enough on a machine with one Intel card.
        clock: Seconds that only grow.

    Raises:
        MeterError: There is no such card, or it does not tell its energy.
    """
    gpu = find_gpu(root, maker="Intel", drivers=_DRIVERS, pci_address=pci_address)
    there = [name for name in _COUNTERS if (gpu.folder / name).exists()]
    if not there:
        raise MeterError(Sentence("The Intel GPU at {address} does not tell its energy.", address=gpu.address))
    # A counter that is shown may stand at 0 for ever (github.com/Syllo/nvtop, issue 347).
    counter = next((name for name in there if gpu.millionths(name) > 0), there[0])
    return IntelGpuMeter(gpu, counter, clock=clock)


class IntelGpuMeter:
    """The card's own energy counter, whoever uses the card. Read from one thread at a time.

    The kernel adds up a register of some 262 kJ at each reading, so a window longer than that (16 minutes at 270 W)
    loses whole turns. Where the card was without power in between, the kernel takes the register's new start for the
    end of a turn. Power tells: a step that needs more than `MAX_CARD_W` is no energy.
    """

    provenance = Provenance.MEASURED
    refresh_s = INTEL_REFRESH_S

    def __init__(self, gpu: ShownGpu, counter: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Takes the file with the counter, and seconds that only grow.

        Raises:
            MeterError: It cannot be read.
        """
        self._gpu, self._counter, self._clock = gpu, counter, clock
        self._last_s, self._last_j = clock(), gpu.millionths(counter)
        label = gpu.folder / counter.replace("input", "label")
        self._counted = {"card": "card", "pkg": "package"}.get(read_text(label), "GPU")

    @property
    def name(self) -> str:
        """What is counted, such as "xe counter, card 0000:03:00.0"."""
        return f"{self._gpu.driver} counter, {self._counted} {self._gpu.address}"

    def read_j(self) -> float:
        """Reads the counter in joules.

        Raises:
            CounterResetError: It began anew since the last reading; the next one counts on from here.
            MeterError: The card is gone.
        """
        now_s, energy_j = self._clock(), self._gpu.millionths(self._counter)
        step_j, most_j = energy_j - self._last_j, MAX_CARD_W * (now_s - self._last_s + _LATE_S)
        self._last_s, self._last_j = now_s, energy_j
        if not 0 <= step_j <= most_j:
            raise CounterResetError(Sentence("The GPU's energy counter began anew."))
        return energy_j

    watch = staticmethod(watch_nobody)

    def close(self) -> None:
        """Does nothing: each reading closes its file."""


def intel_limit_w(root: Path = HWMON_ROOT, *, pci_address: str | None = None) -> float | None:
    """The watts that the driver lets the card in use take; None where it does not tell."""
    return limit_w(root, _LIMITS, maker="Intel", drivers=_DRIVERS, pci_address=pci_address)


def pci_address_of(uuid: bytes) -> str | None:
    """The place on the PCI bus that Intel's driver makes a GPU's UUID of; None where this one is made otherwise."""
    if len(uuid) != _UUID.size:
        return None
    vendor, _, _, domain, bus, device, function = _UUID.unpack(uuid)
    return f"{domain:04x}:{bus:02x}:{device:02x}.{function:x}" if vendor == _VENDOR else None
