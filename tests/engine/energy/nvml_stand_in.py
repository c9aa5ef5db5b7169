"""Scripts the compiled stand-in for NVIDIA's library: GPUs, their clock, and who is at work on them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from engine.energy.nvml import NVML_REFRESH_S
from tests.engine.energy.fakes import FakeClock

if TYPE_CHECKING:
    import ctypes

POWER_W = 250.0

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the loader finds a library by its name on Linux alone")


def script(nvml: ctypes.CDLL, index: int, power_w: float = POWER_W, refresh_s: float = NVML_REFRESH_S) -> None:
    nvml.stand_in_gpu(index, round(1000 * power_w), round(1000 * refresh_s))


class Clock(FakeClock):
    """Seconds that pass for the GPUs as well."""

    def __init__(self, nvml: ctypes.CDLL) -> None:
        super().__init__()
        self._nvml = nvml

    def wait(self, duration_s: float) -> None:
        super().wait(duration_s)
        self._nvml.stand_in_wait(round(1000 * duration_s))
