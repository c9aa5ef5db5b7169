"""Chooses the meter for a device and says why each other one was refused. Never raises, measures nothing itself."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from engine.energy.amdgpu import amdgpu_limit_w, open_amdgpu_meter
from engine.energy.apple import open_apple_meter
from engine.energy.emi import open_emi_meter
from engine.energy.hwmon import HWMON_ROOT
from engine.energy.intelgpu import INTEGRATED_ADDRESS, intel_limit_w, open_intel_meter, pci_address_of
from engine.energy.meter import CompositeMeter, EnergyMeter
from engine.energy.nvml import nvml_limit_w, open_nvml_meter
from engine.energy.perf import PERF_ROOT, open_perf_meter
from engine.energy.rapl import POWERCAP_ROOT, open_rapl_meter
from engine.errors import MeterError
from engine.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    from engine.config import Device
    from engine.energy.emi import DeviceControl


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterReport:
    """What was found.

    Attributes:
        meter: The meter to use; None where there is none, and joules can only be modelled.
        refused: Why each source that was tried is not used, one sentence each.
        gpu_limit_w: The watts that the driver of the GPU in use lets it take, where no meter counts it; None where it
            does not tell.
    """

    meter: EnergyMeter | None
    refused: tuple[str, ...]
    gpu_limit_w: float | None = None


def detect_meter(
    device: Device,
    *,
    nvml: ModuleType | None = None,
    gpu_uuid: str | None = None,
    amd_address: str | None = None,
    intel_address: str | None = None,
    hwmon: Path = HWMON_ROOT,
    powercap: Path = POWERCAP_ROOT,
    perf: Path = PERF_ROOT,
    emi: DeviceControl | None = None,
    apple: ModuleType | None = None,
    system: str = sys.platform,
) -> MeterReport:
    """Finds the energy counters of what `device` uses: the CPU package, and on a GPU the GPU as well.

    Each part of the machine is counted by the first of its meters that opens, so that no joule is counted twice. On a
    GPU other counters without the GPU's are refused: they would show a small part of the joules as if it were all. The
    graphics of an Intel CPU are no part of their own: the package's counter has them.

    Args:
        device: Where the model runs.
        nvml: The module to reach NVIDIA GPUs through; None imports `pynvml`.
        gpu_uuid: The NVIDIA GPU in use; None asks torch.
        amd_address: The place of the AMD GPU in use on the PCI bus; None asks torch whether it runs on one.
        intel_address: That of the Intel GPU in use; None asks torch.
        hwmon: The folder of AMD's and Intel's GPUs on Linux.
        powercap: The folder of the CPU's counters on Linux.
        perf: The folder of perf's devices, which have the same counters for programs with a right of their own.
        emi: What reads them on Windows; None is this machine's.
        apple: The module to reach them through on a Mac; None imports `zeus_apple_silicon`.
        system: The operating system, as `sys.platform` names it.
    """
    of_system: dict[str, list[Callable[[], EnergyMeter]]] = {
        "win32": [partial(open_emi_meter, emi)],
        "darwin": [partial(open_apple_meter, apple)],
    }
    of_linux: list[Callable[[], EnergyMeter]] = [
        partial(open_rapl_meter, powercap),
        partial(open_perf_meter, perf),
    ]
    # For each part its meters, the best first.
    sources: dict[str, list[Callable[[], EnergyMeter]]] = {"CPU": of_system.get(system, of_linux)}
    if device == "cuda" and amd_address is None and nvml is None and gpu_uuid is None:
        amd_address = _torch_amd_address()
    if device == "xpu" and intel_address is None:
        intel_address = _torch_intel_address()
    if device == "cpu" or intel_address == INTEGRATED_ADDRESS:
        return choose_meter(sources, needed=None)
    gpu = (
        _Gpu.of_intel(hwmon, intel_address)
        if device == "xpu"
        else _Gpu.of_nvidia(nvml, gpu_uuid or _torch_gpu_uuid())
        if amd_address is None
        else _Gpu.of_amd(hwmon, amd_address or None)
    )
    report = choose_meter({"GPU": [gpu.open_meter], **sources}, needed="GPU")
    return report if report.meter else replace(report, gpu_limit_w=gpu.limit_w())


class _Gpu(NamedTuple):
    """What opens the meter of the GPU in use, and what asks its driver for the watts that it may take."""

    open_meter: Callable[[], EnergyMeter]
    limit_w: Callable[[], float | None]

    @classmethod
    def of_nvidia(cls, nvml: ModuleType | None, uuid: str | None) -> _Gpu:
        return cls(partial(open_nvml_meter, nvml, gpu_uuid=uuid), partial(nvml_limit_w, nvml, gpu_uuid=uuid))

    @classmethod
    def of_amd(cls, hwmon: Path, address: str | None) -> _Gpu:
        return cls(
            partial(open_amdgpu_meter, hwmon, pci_address=address), partial(amdgpu_limit_w, hwmon, pci_address=address)
        )

    @classmethod
    def of_intel(cls, hwmon: Path, address: str | None) -> _Gpu:
        return cls(
            partial(open_intel_meter, hwmon, pci_address=address), partial(intel_limit_w, hwmon, pci_address=address)
        )


def choose_meter(sources: Mapping[str, Sequence[Callable[[], EnergyMeter]]], *, needed: str | None) -> MeterReport:
    """Opens a meter for each part of the machine.

    Args:
        sources: For each part what opens its meters, the best first; the parts share no joules.
        needed: The part without which the others are not used.
    """
    parts: dict[str, EnergyMeter] = {}
    refused: list[str] = []
    for part, openers in sources.items():
        for open_meter in openers:
            meter = _attempt(part, open_meter)
            if not isinstance(meter, str):
                parts[part] = meter
                break
            refused.append(meter)
    if needed is not None and needed not in parts:
        for part, meter in parts.items():
            meter.close()
            refused.append(
                Sentence(
                    "The {part}'s energy counter is not used alone, because the model runs on the {needed}.",
                    part=part,
                    needed=needed,
                )
            )
        parts.clear()
    if not parts:
        return MeterReport(meter=None, refused=tuple(refused))
    chosen = CompositeMeter(parts) if len(parts) > 1 else next(iter(parts.values()))
    return MeterReport(meter=chosen, refused=tuple(refused))


def _attempt(part: str, open_meter: Callable[[], EnergyMeter]) -> EnergyMeter | str:
    """Opens a meter, or says in one sentence why not."""
    try:
        return open_meter()
    except MeterError as error:
        return error.sentence
    except Exception as error:  # a driver's or a kernel's surprise must not cost the completion
        return Sentence(
            "The {part}'s energy counter failed unexpectedly ({error}).", part=part, error=type(error).__name__
        )


def _torch_gpu_uuid() -> str | None:
    """The UUID of torch's current GPU; CUDA and NVML number GPUs differently, so an index would not do."""
    import torch  # here and not above: only where the model already runs on it

    if not torch.cuda.is_available():
        return None
    uuid = getattr(torch.cuda.get_device_properties(torch.cuda.current_device()), "uuid", None)
    return None if uuid is None else str(uuid)


def _torch_amd_address() -> str | None:
    """The place of torch's current GPU on the PCI bus, "" where it does not say; None where it is none of AMD's."""
    import torch  # as above

    if torch.version.hip is None or not torch.cuda.is_available():
        return None
    gpu = torch.cuda.get_device_properties(torch.cuda.current_device())
    place = [int(getattr(gpu, name, -1)) for name in ("pci_domain_id", "pci_bus_id", "pci_device_id")]
    return "" if -1 in place else "{:04x}:{:02x}:{:02x}.0".format(*place)


def _torch_intel_address() -> str | None:
    """The place of torch's current Intel GPU on the PCI bus; None where it does not say."""
    import torch  # as above

    if not torch.xpu.is_available():
        return None
    gpu = torch.xpu.get_device_properties(torch.xpu.current_device())
    if getattr(gpu, "is_integrated_gpu", False):
        return INTEGRATED_ADDRESS
    return pci_address_of(getattr(getattr(gpu, "uuid", None), "bytes", b""))
