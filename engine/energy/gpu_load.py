"""How much of an NVIDIA GPU's work was other programs': its counter cannot tell them from us.

NVML samples how busy each process keeps the GPU, in percent of some tenths of a second, and tells everybody: on cards
from Maxwell on, where MIG is off, and not under WSL. Where it does not tell, nobody is seen. Knows no joules. See
https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from types import ModuleType

LEAST_PERCENT = 5
"""Of the GPU's time in all, below which the samples say nothing: what draws a desktop takes as much."""

_MOST_PERCENT = 100  # above it a sample is a driver's slip
# The newest cards know the second alone, older drivers the first (github.com/Project-HAMi/HAMi-core, pull request 218).
_WAYS = ("nvmlDeviceGetProcessUtilization", "nvmlDeviceGetProcessesUtilizationInfo")


class GpuLoad:
    """Who keeps a GPU busy. It asks at the end of a window alone, and no more where the card does not tell."""

    def __init__(self, nvml: ModuleType, handle: object) -> None:
        """Takes NVML, and its handle of the GPU."""
        self._nvml, self._handle = nvml, handle
        self._ways = [way for way in _WAYS if hasattr(nvml, way)]
        self._is_known = False

    def watch(self) -> Callable[[], float | None]:
        """Begins to watch: what it returns tells the others' share since; None where NVML does not tell."""
        since_us = int(time.time() * 1e6)  # by the clock that samples are stamped with
        return lambda: self._foreign_share(since_us)

    def _foreign_share(self, since_us: int) -> float | None:
        percents = {int(sample.pid): int(sample.smUtil) for sample in self._samples(since_us)}
        percents = {pid: percent for pid, percent in percents.items() if percent <= _MOST_PERCENT}
        all_percent = sum(percents.values())
        if all_percent < LEAST_PERCENT or not self._knows_us(percents):
            return None
        return sum(percent for pid, percent in percents.items() if not _is_ours(pid)) / all_percent

    def _samples(self, since_us: int) -> Sequence[Any]:
        """One for each process that was seen at work since; none where NVML has none or does not tell."""
        if not self._ways:
            return ()
        try:
            samples: Sequence[Any] = getattr(self._nvml, self._ways[0])(self._handle, since_us)
        except self._nvml.NVMLError as error:
            if error.value not in {self._nvml.NVML_ERROR_NOT_SUPPORTED, self._nvml.NVML_ERROR_FUNCTION_NOT_FOUND}:
                return ()
            del self._ways[0]
            return self._samples(since_us)
        return samples

    def _knows_us(self, seen: Collection[int]) -> bool:
        """Whether NVML calls us by our own number: in a container it may tell the host's, and all seem strangers."""
        if not self._is_known and os.getpid() not in seen:
            try:
                seen = [int(each.pid) for each in self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)]
            except self._nvml.NVMLError:
                return False
        self._is_known = self._is_known or os.getpid() in seen
        return self._is_known


def _is_ours(pid: int) -> bool:
    """Whether a process is this one or one that came of it."""
    if pid == os.getpid():
        return True
    try:
        return os.getpid() in {parent.pid for parent in psutil.Process(pid).parents()}
    except (OSError, psutil.Error):
        return False
