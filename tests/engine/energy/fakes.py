"""A clock that stands still, a counter that is told what it reads, and an NVML without a GPU."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING

import pynvml

from engine.errors import CounterResetError, MeterError
from engine.types import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class FakeClock:
    """Seconds that pass when the test says so."""

    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s

    def wait(self, duration_s: float) -> None:
        self.now_s += duration_s


@dataclass
class FakeMeter:
    """A counter whose joules the test sets; None makes it fail."""

    name: str = "fake counter"
    provenance: Provenance = Provenance.MEASURED
    refresh_s: float = 0.1
    counter_j: float | None = 1000.0
    closed: bool = False
    others: float | None = None
    has_begun_anew: bool = False

    def read_j(self) -> float:
        if self.has_begun_anew:
            self.has_begun_anew = False
            raise CounterResetError("The fake counter began anew.")
        if self.counter_j is None:
            raise MeterError("The fake counter is gone.")
        return self.counter_j

    def watch(self) -> Callable[[], float | None]:
        return lambda: self.others

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeGpu:
    """One GPU as NVML shows it; None is what the card does not tell."""

    uuid: str = "GPU-0000"
    energy_mj: int | None = 5_000_000
    power_mw: int | None = 40_000


@dataclass
class _NvmlState:
    gpus: list[FakeGpu]
    init_error: int | None = None
    query_error: int | None = None
    n_inits: int = 0
    power_reads: int = 0
    power_read_thrice: threading.Event = field(default_factory=threading.Event)


class FakeNvml(ModuleType):
    """The functions of `pynvml` that a meter calls, over GPUs in memory, with NVML's own errors."""

    NVMLError = pynvml.NVMLError

    def __init__(self, *gpus: FakeGpu, init_error: int | None = None) -> None:
        super().__init__("pynvml")
        self.state = _NvmlState(gpus=list(gpus), init_error=init_error)

    def __getattr__(self, name: str) -> object:
        if name.startswith("NVML_"):
            return getattr(pynvml, name)
        raise AttributeError(name)

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's own name
        if self.state.init_error is not None:
            raise pynvml.NVMLError(self.state.init_error)
        self.state.n_inits += 1

    def nvmlShutdown(self) -> None:  # noqa: N802 - NVML's own name
        self.state.n_inits -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802 - NVML's own name
        return len(self.state.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeGpu:  # noqa: N802 - NVML's own name
        return self.state.gpus[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> FakeGpu:  # noqa: N802 - NVML's own name
        for gpu in self.state.gpus:
            if gpu.uuid == uuid:
                return gpu
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)

    def nvmlDeviceGetIndex(self, handle: FakeGpu) -> int:  # noqa: N802 - NVML's own name
        return self.state.gpus.index(handle)

    def nvmlDeviceGetMigMode(self, handle: FakeGpu) -> tuple[int, int]:  # noqa: N802 - NVML's own name
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: FakeGpu) -> int:  # noqa: N802 - NVML's own name
        return self._answer(handle.energy_mj)

    def nvmlDeviceGetPowerUsage(self, handle: FakeGpu) -> int:  # noqa: N802 - NVML's own name
        self.state.power_reads += 1
        if self.state.power_reads >= 3:
            self.state.power_read_thrice.set()
        return self._answer(handle.power_mw)

    def _answer(self, value: int | None) -> int:
        if self.state.query_error is not None:
            raise pynvml.NVMLError(self.state.query_error)
        if value is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return value
