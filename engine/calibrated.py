"""The calibration of a loaded model on its device: which it has, whether that still holds, and how one is made.

A calibration is found by facts (model, processor, threads, precision, runtime); more facts beside it say what else it
was made with, so that one that has grown stale is told of. It owns no measurement: `engine.energy.calibration` does.
"""

from __future__ import annotations

import platform
import sys
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.checksum import sha256_of
from engine.config import data_dir
from engine.decoding.decoder import Decoder
from engine.decoding.stopping import StopCondition
from engine.energy.calibration import (
    CALIBRATION_FILE,
    Workload,
    calibrate,
    calibration_facts,
    calibration_key,
    load_calibration,
    save_calibration,
)
from engine.energy.cost_model import by_limit, by_pace, default_cost_model
from engine.energy.meter import StatedPowerMeter
from engine.energy.power_limits import cpu_power_limit, driver_power_limit, gpu_power_limit
from engine.errors import MeterError
from engine.model.loaded import synchronize
from engine.model.prepared.native import library
from engine.policy.base import Fill, OperatingPoint
from engine.policy.baselines import FixedExit
from engine.types import NeverCancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine.energy.calibration import Calibration
    from engine.energy.cost_model import DeviceCostModel
    from engine.energy.detect import MeterReport
    from engine.energy.power_limits import PowerLimit
    from engine.model.loaded import LoadedModel
    from engine.types import Phase, ProgressSink, Work

_CPU_INFO = Path("/proc/cpuinfo")
_AS_IT_COMES = OperatingPoint(energy_weight=1.0, lossless=False, fill=Fill.PROPAGATE)
_OLD_CALIBRATION = (
    "The calibration is of a release that did not count the length of the context, so its share is estimated; "
    "run `green-code calibrate` to measure it."
)
_POOR_CALIBRATION = (
    "The calibration, of an earlier release, does not say again what it was fitted to, so it is not used; "
    "run `green-code calibrate` while nothing else runs."
)
_STALE_CALIBRATION = "The calibration was made with another {}; run `green-code calibrate` to measure anew."


def cost_model_of(
    loaded: LoadedModel, report: MeterReport, *, is_paced: bool = True
) -> tuple[DeviceCostModel, tuple[str, ...]]:
    """The calibrated cost model of this model on this device, else the shipped one; and what to say about it.

    Args:
        loaded: The model.
        report: What was found to count joules; on a GPU without, what its limit tells stands in for the shipped one.
        is_paced: Whether, on a CPU without a counter, the shipped one is to follow the CPU's pace.
    """
    path = data_dir() / CALIBRATION_FILE
    shipped = default_cost_model(loaded.model.geometry, loaded.device, loaded.runtime)
    notes: tuple[str, ...] = ()
    try:
        for key in (calibration_key_of(loaded), _former_key(loaded)):
            model = load_calibration(path, key, prior=shipped)
            if model is not None and model.is_poor_fit:
                notes = (_POOR_CALIBRATION,)
            elif model is not None:
                made_with, now = calibration_facts(path, key), _facts(loaded)
                stale = [name for name in now if made_with.get(name, now[name]) != now[name]]
                told = [_STALE_CALIBRATION.format(" and another ".join(stale))] if stale else []
                return model, (*told, _OLD_CALIBRATION) if model.unfitted else tuple(told)
    except MeterError as error:
        notes = (str(error),)
    if report.meter is None and loaded.device == "cpu" and is_paced:
        return by_pace(shipped), notes
    limit = None if report.meter or loaded.device == "cpu" else power_limit_of(loaded, report)
    return shipped if limit is None else by_limit(shipped, limit), notes


def power_limit_of(loaded: LoadedModel, report: MeterReport) -> PowerLimit | None:
    """What the processor in use takes at most: by its driver, else by the tables; None where neither knows it."""
    if loaded.device == "cpu":
        return cpu_power_limit(_cpu_name())
    return gpu_power_limit(loaded.processor) if report.gpu_limit_w is None else driver_power_limit(report.gpu_limit_w)


def calibrate_model(
    loaded: LoadedModel,
    report: MeterReport,
    *,
    power_w: float | None,
    unloaded_power_w: float | None,
    progress: ProgressSink,
) -> Calibration:
    """Fits the cost model to this device, and keeps it where it is a good one; else what is kept already stays.

    Args:
        loaded: The model.
        report: What was found to count joules.
        power_w: What the machine takes at work beyond rest, to fit to seconds; None fits to the counter.
        unloaded_power_w: What it saw at rest before the model was loaded, where somebody looked.
        progress: Is called for each window.

    Raises:
        ConfigError: If `power_w` is no power.
        MeterError: If there is no counter, it failed, or the result cannot be kept.
    """
    made = calibrate(
        workload_runner(loaded),
        meter=report.meter if power_w is None else StatedPowerMeter(power_w),
        prior=default_cost_model(loaded.model.geometry, loaded.device, loaded.runtime),
        exit_layers=loaded.model.exit_layers,
        max_positions=loaded.model.max_positions,
        limit=power_limit_of(loaded, report),
        progress=progress,
    )
    made = replace(made, model=replace(made.model, unloaded_power_w=unloaded_power_w))
    if made.model.is_good_fit:
        save_calibration(data_dir() / CALIBRATION_FILE, calibration_key_of(loaded), made.model, facts=_facts(loaded))
    return made


def workload_runner(
    loaded: LoadedModel, point: OperatingPoint = _AS_IT_COMES
) -> Callable[[Workload], Mapping[Phase, Work]]:
    """Runs workloads on a model, waits for its device, and gives the work done."""
    reused: dict[int, Decoder] = {}  # by length of prompt

    def run(workload: Workload) -> Mapping[Phase, Work]:
        decoder = Decoder(loaded.model)
        if workload.reuses_prompt:
            decoder = reused.setdefault(workload.prompt_tokens, decoder)
        tokens = decoder.generate(
            # Which tokens these are does not matter to their cost.
            [n % loaded.model.n_vocabulary for n in range(workload.prompt_tokens)],
            policy=FixedExit(workload.exit_layer),
            point=point,
            stop=StopCondition(max_new_tokens=workload.new_tokens),
            cancellation=NeverCancelled(),
        )
        deque(tokens, maxlen=0)
        synchronize(loaded.device)
        return decoder.work.by_phase()

    return run


def calibration_key_of(loaded: LoadedModel) -> str:
    """What a calibration of this model on this device is kept under."""
    return calibration_key(
        model=loaded.name,
        processor=loaded.processor,
        threads=loaded.threads,
        precision=loaded.precision,
        runtime=loaded.runtime,
    )


def _facts(loaded: LoadedModel) -> dict[str, str]:
    """What a calibration is stale without: the processor, the model's weights, and what computes."""
    runtime = {"torch": "torch", "onnx": "onnxruntime"}.get(loaded.runtime)
    instructions = library.instructions()
    if runtime is not None:
        from importlib.metadata import version  # our own kernels need none of it

        computes = version(runtime)
    else:
        computes = "" if instructions is None else sha256_of(library.library_file(instructions))[:12]
    return {
        "processor": _cpu_name() if loaded.device == "cpu" else loaded.processor,
        "model": f"{loaded.model.fingerprint} {loaded.model.exits_fingerprint}",
        "kernel library": computes,
    }


def _cpu_name() -> str:
    """The CPU's own name, as far as the system tells it."""
    if sys.platform == "linux":
        try:
            lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def _former_key(loaded: LoadedModel) -> str:
    """What an earlier release kept the same calibration under; it named the device in words for people."""
    return f"{loaded.name} | {loaded.device_name} | {loaded.model.geometry.bytes_per_param:g} bytes"
