"""Joules of one NVIDIA GPU through NVML. Knows no torch: the GPU is named by its UUID.

Cards from Volta on count their energy (millijoules since the driver was loaded); older ones only tell their present
power, which is then polled and integrated. The module `pynvml` comes from the distribution nvidia-ml-py. See
https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html.
"""

from __future__ import annotations

import importlib
import threading
import time
from typing import TYPE_CHECKING

from engine.energy.gpu_load import GpuLoad
from engine.energy.load import watch_nobody
from engine.errors import CounterResetError, MeterError
from engine.sentences import Sentence
from engine.types import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from engine.energy.meter import EnergyMeter

NVML_REFRESH_S = 0.1
"""The counter's refresh period: 20 to 100 ms by card (as PETSc's and Zeus's documentation have it); the longest."""

POLL_PERIOD_S = 0.1
"""Ten samples a second, each a driver call of some tens of microseconds."""


def open_nvml_meter(nvml: ModuleType | None = None, *, gpu_uuid: str | None = None) -> EnergyMeter:
    """Opens the energy counter of the GPU in use, or polls its power where the card has no counter.

    Args:
        nvml: The module to talk through; None imports `pynvml`.
        gpu_uuid: The GPU's UUID, with or without "GPU-"; None is enough on a machine with one GPU.

    Returns:
        A meter that is `MEASURED`, or `SAMPLED` where power is polled.

    Raises:
        MeterError: The library, the driver, the GPU or the permission is missing.
    """
    nvml = nvml or _import_pynvml()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise _refused(nvml, error) from None
    try:
        return _open_gpu(nvml, gpu_uuid)
    except nvml.NVMLError as error:
        nvml.nvmlShutdown()
        raise _refused(nvml, error) from None
    except MeterError:
        nvml.nvmlShutdown()
        raise


def nvml_limit_w(nvml: ModuleType | None = None, *, gpu_uuid: str | None = None) -> float | None:
    """The watts that the driver lets the GPU in use take; None where it does not tell.

    Args:
        nvml: The module to talk through; None imports `pynvml`.
        gpu_uuid: As the meter's.
    """
    try:
        nvml = nvml or _import_pynvml()
        nvml.nvmlInit()
        try:
            return int(nvml.nvmlDeviceGetEnforcedPowerLimit(_handle(nvml, gpu_uuid))) / 1000.0  # milliwatts
        finally:
            nvml.nvmlShutdown()
    except Exception:  # a driver's surprise as well; the meter has said what keeps NVML from answering
        return None


class NvmlCounterMeter:
    """The GPU's own energy counter, for the whole GPU, whoever uses it."""

    provenance = Provenance.MEASURED
    refresh_s = NVML_REFRESH_S

    def __init__(self, nvml: ModuleType, handle: object, *, name: str) -> None:
        self.name = name
        self.watch = GpuLoad(nvml, handle).watch
        self._nvml = nvml
        self._handle = handle
        self._last_mj = 0

    def read_j(self) -> float:
        """Reads the counter in joules.

        Raises:
            CounterResetError: The driver was loaded anew since the last reading; the next one counts on from here.
            MeterError: The GPU was lost.
        """
        try:
            energy_mj = int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        except self._nvml.NVMLError as error:
            raise _refused(self._nvml, error) from None
        last_mj, self._last_mj = self._last_mj, energy_mj
        if energy_mj < last_mj:
            raise CounterResetError(Sentence("The GPU's energy counter began anew."))
        return energy_mj / 1000.0

    def close(self) -> None:
        """Lets go of NVML."""
        self._nvml.nvmlShutdown()


class SampledPowerMeter:
    """Power polled by a background thread and integrated by the trapezoid rule. Owns that thread until `close`.

    After a failed sample it stays failed: an integral across a gap would be invented.
    """

    provenance = Provenance.SAMPLED
    refresh_s = POLL_PERIOD_S

    def __init__(
        self,
        read_power_w: Callable[[], float],
        *,
        name: str,
        release: Callable[[], None] = lambda: None,
        watch: Callable[[], Callable[[], float | None]] = watch_nobody,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes what reads the watts, and what is called by the name, when it is closed, and to watch others.

        Raises:
            MeterError: The power cannot be read.
        """
        self.name = name
        self.watch = watch
        self._read_power_w = read_power_w
        self._release = release
        self._clock = clock
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._error: MeterError | None = None
        self._total_j = 0.0
        self._last_w = read_power_w()
        self._last_s = clock()
        self._thread = threading.Thread(target=self._poll, name="gpu-power", daemon=True)
        self._thread.start()

    def read_j(self) -> float:
        """Takes one more sample and reads the integral in joules.

        Raises:
            MeterError: A sample failed, now or earlier.
        """
        with self._lock:
            if self._error is None:
                self._sample()
            if self._error is not None:
                raise MeterError(self._error.sentence)
            return self._total_j

    def close(self) -> None:
        """Ends the thread and lets go of the power source."""
        self._closed.set()
        self._thread.join()
        self._release()

    def _poll(self) -> None:
        while not self._closed.wait(POLL_PERIOD_S):
            with self._lock:
                self._sample()
                if self._error is not None:
                    return

    def _sample(self) -> None:
        try:
            power_w = self._read_power_w()
        except MeterError as error:
            self._error = error
            return
        now_s = self._clock()
        self._total_j += (self._last_w + power_w) / 2.0 * (now_s - self._last_s)
        self._last_s, self._last_w = now_s, power_w


def _open_gpu(nvml: ModuleType, gpu_uuid: str | None) -> EnergyMeter:
    handle = _handle(nvml, gpu_uuid)
    gpu = f"GPU {nvml.nvmlDeviceGetIndex(handle)}{' with all its MIG instances' if _is_cut(nvml, handle) else ''}"
    try:
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except nvml.NVMLError as error:
        if error.value not in {nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_FUNCTION_NOT_FOUND}:
            raise
    else:
        return NvmlCounterMeter(nvml, handle, name=f"NVML counter, {gpu}")

    def read_power_w() -> float:
        try:
            return int(nvml.nvmlDeviceGetPowerUsage(handle)) / 1000.0  # milliwatts
        except nvml.NVMLError as error:
            raise _refused(nvml, error) from None

    return SampledPowerMeter(
        read_power_w, name=f"NVML power, {gpu}", release=nvml.nvmlShutdown, watch=GpuLoad(nvml, handle).watch
    )


def _is_cut(nvml: ModuleType, handle: object) -> bool:
    """Whether the GPU is shared out (MIG): NVML counts the joules of all of it, whoever uses the other parts."""
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError:
        return False
    return bool(current == nvml.NVML_DEVICE_MIG_ENABLE)


def _handle(nvml: ModuleType, gpu_uuid: str | None) -> object:
    if gpu_uuid is not None:
        return nvml.nvmlDeviceGetHandleByUUID(f"GPU-{gpu_uuid.removeprefix('GPU-')}")
    n_gpus = int(nvml.nvmlDeviceGetCount())
    if n_gpus != 1:
        raise MeterError(Sentence("NVML sees {n_gpus} GPUs, and which of them is in use is not known.", n_gpus=n_gpus))
    return nvml.nvmlDeviceGetHandleByIndex(0)


def _import_pynvml() -> ModuleType:
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        raise MeterError(
            Sentence("The GPU's energy cannot be read without the Python module pynvml; install nvidia-ml-py.")
        ) from None


_REASONS = {
    "NVML_ERROR_LIBRARY_NOT_FOUND": Sentence("no NVIDIA driver is installed on this machine"),
    "NVML_ERROR_DRIVER_NOT_LOADED": Sentence("the NVIDIA driver is installed and not loaded"),
    "NVML_ERROR_NO_PERMISSION": Sentence("this user may not read it; ask the machine's administrator"),
    "NVML_ERROR_NOT_SUPPORTED": Sentence("this card tells neither its energy nor its power"),
    "NVML_ERROR_NOT_FOUND": Sentence("NVML does not know the GPU in use"),
    "NVML_ERROR_GPU_IS_LOST": Sentence("the GPU has dropped off the bus; restart the machine"),
}


def _refused(nvml: ModuleType, error: Exception) -> MeterError:
    """Puts NVML's error into the user's words; one it has no words for is quoted."""
    value = getattr(error, "value", None)
    known = (words for name, words in _REASONS.items() if value == getattr(nvml, name))
    reason = next(known, None) or Sentence("NVML says {error}", error=error)
    return MeterError(Sentence("The GPU's energy cannot be read: {reason}.", reason=reason))
