"""Which of the known models this machine runs well: memory, time and joules a token from sizes and measured bandwidth.

At batch 1 a token takes as long as its weights take to be read, so both figures follow from a model's bytes. They are
predictions, and said to be: nothing is fetched or run.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import psutil

from engine.config import DEFAULT_MODEL, EngineConfig, cache_dir
from engine.energy.cost_model import default_cost_model
from engine.model.catalogue import CATALOGUE
from engine.model.loaded import cpu_threads
from engine.model.prepared.native import library
from engine.model.prepared.native.bandwidth import weight_bytes_per_s
from engine.model.prepared.prepared_runner import ONE_CORE_BYTES
from engine.model.torch_missing import is_torch_there
from engine.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.catalogue import KnownModel
    from engine.model.sizes import ModelSizes
    from engine.types import Runtime

_WELL_MS = 50.0  # a token: a line of fifteen in three quarters of a second
_WELL_MEMORY = 0.25  # of the machine's: an editor, its servers and a browser stand beside it
_MATRIX = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a prediction goes by.

    Attributes:
        memory_bytes: What there is in all.
        free_disk_bytes: Where models are kept.
        core_bytes_per_s: Rounded weights that one core reads in a second.
        bytes_per_s: Those that all cores read.
        flops_per_s: Multiplications and additions in fp32 on all cores, as exits are taught.
        runtime: What would compute.
    """

    memory_bytes: int
    free_disk_bytes: int
    core_bytes_per_s: float
    bytes_per_s: float
    flops_per_s: float
    runtime: Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """A model and what it would take here.

    Attributes:
        model: The model.
        token_ms: A token at full depth, predicted.
        token_j: The same in joules, modelled.
        why_not: Why it does not run well here; "" where it does.
        is_advised: Whether it is the one to take.
    """

    model: KnownModel
    token_ms: float
    token_j: float
    why_not: str
    is_advised: bool = False

    @property
    def download_bytes(self) -> int:
        """What is fetched."""
        return self.model.download_bytes or self.model.sizes.needs.download_bytes

    @property
    def lacks_torch(self) -> bool:
        """Whether PyTorch, which would have to prepare it, is not installed here."""
        return self.model.name != DEFAULT_MODEL and not is_torch_there()


def measure_machine() -> Machine:
    """What this machine has, and how fast it is just now; takes two seconds."""
    threads = cpu_threads(EngineConfig())
    instructions = library.instructions()
    runtime: Runtime = "onnx" if instructions is None else library.RUNTIMES[instructions]
    one_core = weight_bytes_per_s(1)
    return Machine(
        memory_bytes=psutil.virtual_memory().total,
        free_disk_bytes=free_disk_bytes(),
        core_bytes_per_s=one_core,
        bytes_per_s=max(one_core, weight_bytes_per_s(threads)),
        flops_per_s=_flops_per_s(),
        runtime=runtime,
    )


def free_disk_bytes() -> int:
    """What is free where models are kept."""
    folder = cache_dir()
    while not folder.is_dir():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def recommend(machine: Machine, models: Sequence[KnownModel] = CATALOGUE) -> list[Recommendation]:
    """All known models, the smallest first; one of those that run well is advised, if any does.

    Advised is the largest that anybody may use and that fills in the middle, which says more about a cursor than size
    does; else the largest.
    """
    rated = [_rated(model, machine) for model in sorted(models, key=lambda model: model.sizes.n_params)]
    free = [each for each in rated if not each.why_not and each.model.is_free]
    best = [each for each in free if each.model.format is not None] or free
    return [replace(each, is_advised=bool(best) and each is best[-1]) for each in rated]


def token_ms(sizes: ModelSizes, machine: Machine) -> float:
    """What a token at full depth takes, by the bytes that it reads."""
    is_small = sizes.token_bytes <= ONE_CORE_BYTES
    return 1e3 * sizes.token_bytes / (machine.core_bytes_per_s if is_small else machine.bytes_per_s)


def teaching_s(sizes: ModelSizes, n_tokens: int, machine: Machine) -> float:
    """What running so many tokens through a model in fp32 takes, as teaching its exits does."""
    return 2 * (sizes.n_layers * sizes.layer_params + sizes.head_params) * n_tokens / machine.flops_per_s


def _rated(model: KnownModel, machine: Machine) -> Recommendation:
    sizes, needs = model.sizes, model.sizes.needs
    runtime: Runtime = machine.runtime if sizes.runs_rounded else "torch"
    cost = default_cost_model(sizes.geometry, "cpu", runtime)
    a_token_ms = token_ms(sizes, machine)
    why_not = needs.why_not_here(free_disk_bytes=machine.free_disk_bytes, memory_bytes=machine.memory_bytes)
    if not why_not and needs.running_bytes > _WELL_MEMORY * machine.memory_bytes:
        why_not = Sentence("it would take more than a quarter of the memory")
    if not why_not and a_token_ms > _WELL_MS:
        why_not = Sentence("a token would take {ms:.0f} ms", ms=a_token_ms)
    return Recommendation(
        model=model,
        token_ms=a_token_ms,
        token_j=cost.token_j + sizes.n_layers * cost.layer_pass_j + cost.head_pass_j,
        why_not=why_not,
    )


def _flops_per_s() -> float:
    matrix = np.ones((_MATRIX, _MATRIX), np.float32)
    matrix @ matrix  # libraries set themselves up
    started_s = time.perf_counter()
    matrix @ matrix
    return 2.0 * _MATRIX**3 / (time.perf_counter() - started_s)
