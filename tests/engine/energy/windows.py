"""How far the shipped cost model is off, by the length of the prompt: `python -m tests.engine.energy.windows [ROUNDS]`.

The default model reads prompts on one thread, and decodes behind them at full depth and at two exits. Lengths take
turns, and the least CPU seconds of all rounds count. Prices are fitted to the windows of some lengths; those that ship
and the fitted ones are judged at the other lengths. `GREEN_CODE_KERNELS` says which kernels, "off" ONNX Runtime.
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import replace
from functools import reduce
from itertools import product
from operator import add
from typing import TYPE_CHECKING

from engine.calibrated import workload_runner
from engine.config import DEFAULT_MODEL, EngineConfig
from engine.energy.calibration import Workload
from engine.energy.cost_model import (
    CPU_ACTIVE_POWER_W,
    FLOPS_PER_PARAM,
    DeviceCostModel,
    default_cost_model,
    energy_j,
)
from engine.energy.fit import fit_cost_model
from engine.model.loading import load_model
from engine.model.sources.store import resolve_model
from engine.policy.base import PLAIN_DECODING, Fill
from engine.types import ModelGeometry, Work

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model.loaded import LoadedModel

FITTED, HELD_OUT = (16, 256, 1024, 2048), (50, 128, 512, 1536, 3072, 4000)
DECODED = 32
PLAIN = replace(PLAIN_DECODING, lossless=False, fill=Fill.PROPAGATE)  # no drafts, and the whole head for each token
Windows = dict[Workload, tuple[Work, float]]


def measure(loaded: LoadedModel, rounds: int) -> Windows:
    """The work of each window, and its CPU seconds times the stated power."""
    run, n_layers = workload_runner(loaded, PLAIN), loaded.model.n_layers
    exits = loaded.model.exit_layers
    found: Windows = {}
    for round_ in range(rounds):
        for length in random.Random(round_).sample(FITTED + HELD_OUT, len(FITTED + HELD_OUT)):
            workloads = [
                Workload(prompt_tokens=length, new_tokens=1, exit_layer=n_layers),
                *(
                    Workload(prompt_tokens=length, new_tokens=DECODED, exit_layer=depth, reuses_prompt=True)
                    for depth in (n_layers, exits[len(exits) // 2], exits[0])
                ),
            ]
            run(workloads[1])  # the prompt is in the cache
            for workload in workloads:
                begun_s = time.process_time()
                work = reduce(add, run(workload).values(), Work())
                spent_j = (time.process_time() - begun_s) * CPU_ACTIVE_POWER_W
                found[workload] = work, min(spent_j, found.get(workload, (work, spent_j))[1])
    return found


def prices(model: DeviceCostModel, geometry: ModelGeometry) -> Mapping[str, float]:
    """CPU picoseconds a unit."""
    layer_bytes, head_bytes = (n * geometry.bytes_per_param for n in (geometry.layer_params, geometry.head_params))
    units = {
        "a layer's byte": model.layer_pass_j / layer_bytes,
        "a head's byte": model.head_pass_j / head_bytes,
        "a FLOP": model.prefill_token_j / (geometry.n_layers * geometry.layer_params * FLOPS_PER_PARAM),
        "a byte of the cache": model.context_pass_j / geometry.context_bytes,
        "a FLOP of attention": model.context_token_j / geometry.context_flops,
        "a token": model.token_j,
    }
    return {name: unit_j / CPU_ACTIVE_POWER_W * 1e12 for name, unit_j in units.items()}


def main() -> None:
    """Prints prices, and the error at each length."""
    files = resolve_model(DEFAULT_MODEL)
    loaded = load_model(files.name, files.path, EngineConfig(threads=1))
    found = measure(loaded, int(sys.argv[1]) if sys.argv[1:] else 5)
    shipped = default_cost_model(loaded.model.geometry, loaded.device, loaded.runtime)
    samples = [sample for workload, sample in found.items() if workload.prompt_tokens in FITTED]
    fitted = fit_cost_model(samples, prior=shipped, source="", prior_weight=1e-6).model
    print(loaded.device_name)  # noqa: T201
    for name, model in (("shipped", shipped), ("fitted", fitted)):
        told = ", ".join(f"{price:.1f} ps {unit}" for unit, price in prices(model, loaded.model.geometry).items())
        print(f"{name}: {told}")  # noqa: T201
    for length, (name, model) in product(FITTED + HELD_OUT, (("shipped", shipped), ("fitted", fitted))):
        of = {workload: sample for workload, sample in found.items() if workload.prompt_tokens == length}
        errors = [f"{energy_j(model, work) / spent_j - 1.0:+7.1%}" for work, spent_j in of.values()]
        spent = [f"{1e3 * spent_j / CPU_ACTIVE_POWER_W:8.1f}" for _, spent_j in of.values()]
        is_held_out = "held out" if length in HELD_OUT else ""
        print(f"{length:5} {name:8}", *spent, "ms", *errors, is_held_out)  # noqa: T201


if __name__ == "__main__":
    main()
