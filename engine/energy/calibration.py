"""Measures what a device's work costs, and keeps the fitted cost model in a file. Knows no decoder: it is given `run`.

Each workload is repeated inside one window until the counter can be trusted. `run` decides what a workload is made of;
its `Work` and the counter's joules are all that is looked at.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import asdict, dataclass, replace
from functools import reduce
from itertools import product
from operator import add
from typing import TYPE_CHECKING, Any

import cattrs

from engine.energy.cost_model import COEFFICIENTS, DeviceCostModel
from engine.energy.fit import coefficient_intervals, fit_cost_model
from engine.energy.meter import WINDOW_SAFETY_FACTOR, EnergyWindow
from engine.errors import MeterError
from engine.files import written_whole
from engine.types import Phase, Provenance, Work, no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from engine.energy.meter import EnergyMeter
    from engine.energy.power_limits import PowerLimit
    from engine.intervals import Estimate
    from engine.types import Precision, ProgressSink, Runtime

PROMPT_TOKENS = (64, 192)
NEW_TOKENS = (1, 12, 32)
LONG_PROMPT_TOKENS = 1536
"""As long as the product's longest: what a token attends to there costs a third of what its layers do."""
WINDOW_S = 1.0
"""Shortest window of a workload in a round; with three depths there are 21 workloads, two thirds of a minute in all."""
ROUNDS = 2
IDLE_S = 3.0

CALIBRATION_FILE = "calibration.json"  # in the user's data folder
_FORMAT_VERSION = 1
_FACTS = "made_with"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One thing to run while the meter is read: a prompt, and new tokens that all leave at one layer.

    Attributes:
        prompt_tokens: Length of the prompt.
        new_tokens: Tokens behind it.
        exit_layer: Where they leave.
        reuses_prompt: Whether the prompt but its last token is in the cache already, so that only decoding is seen.
    """

    prompt_tokens: int
    new_tokens: int
    exit_layer: int
    reuses_prompt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedWindow:
    """One workload as it was measured in all rounds: its work, its active joules, and what the others say of it."""

    workload: Workload
    work: Work
    energy_j: float
    predicted_j: float

    @property
    def residual(self) -> float:
        """How far the prediction was off, relative to what was measured."""
        return self.predicted_j / self.energy_j - 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A fitted cost model, and all that it was fitted to."""

    model: DeviceCostModel
    prior: DeviceCostModel
    windows: tuple[CalibratedWindow, ...]

    def intervals(self) -> dict[str, Estimate]:
        """The coefficients by name with 95 % intervals; takes seconds."""
        return coefficient_intervals([(window.work, window.energy_j) for window in self.windows], prior=self.prior)


def calibrate(
    run: Callable[[Workload], Mapping[Phase, Work]],
    *,
    meter: EnergyMeter | None,
    prior: DeviceCostModel,
    exit_layers: Sequence[int],
    max_positions: int,
    limit: PowerLimit | None = None,
    progress: ProgressSink = no_progress,
    clock: Callable[[], float] = time.perf_counter,
    wait: Callable[[float], None] = time.sleep,
) -> Calibration:
    """Measures the idle power and a grid of workloads, and fits the cost model to them.

    Args:
        run: Runs one workload, synchronises the device, and gives the work done. The cache is empty before, but where
            a workload reuses its prompt and was run once.
        meter: The counter to read.
        prior: The shipped default, whose proportions hold where the grid is silent.
        exit_layers: The model's exits, ascending, without the last layer.
        max_positions: Longest text of the model, in tokens.
        limit: What the processor takes at most, to be told where somebody has to state a power.
        progress: Is called for each window.
        clock: Seconds, as the windows count them.
        wait: Waits some seconds while the machine is at rest.

    Raises:
        MeterError: There is no meter, it failed or stood still, or the machine was not quiet.
    """
    if meter is None:
        raise MeterError(
            "There is nothing to calibrate with: no energy counter of this machine may be read. State the power that "
            f"it takes at work to calibrate by time, such as `green-code calibrate --power-w 20`{_at_most(limit)}."
        )
    grid = workload_grid(prior.n_layers, exit_layers, max_positions)
    # In another order each round, so that a machine that grows warm makes no workload dearer than the others.
    turns = [workload for round_ in range(ROUNDS) for workload in random.Random(round_).sample(grid, len(grid))]  # noqa: S311
    progress("Measuring the idle power", 0, len(turns) + 1)
    # Only a counter sees the machine at rest; a stated power is without that.
    is_counted = meter.provenance is not Provenance.MODELLED
    idle_power_w = measure_idle_power_w(meter, clock=clock, wait=wait) if is_counted else None
    run(grid[0])  # warms up: a first run allocates memory and chooses kernels
    measured = dict.fromkeys(grid, (Work(), 0.0))
    for done, workload in enumerate(turns, start=1):
        progress(_describe(workload), done, len(turns) + 1)
        work, energy_j = _measure(run, workload, meter, idle_power_w or 0.0, clock)
        measured[workload] = measured[workload][0] + work, measured[workload][1] + energy_j
    fit = fit_cost_model(list(measured.values()), prior=prior, source=f"calibrated with {meter.name}")
    progress("Calibrated", len(turns) + 1, len(turns) + 1)
    return Calibration(
        model=replace(fit.model, idle_power_w=idle_power_w),
        prior=prior,
        windows=tuple(
            CalibratedWindow(workload=workload, work=work, energy_j=energy_j, predicted_j=predicted_j)
            for (workload, (work, energy_j)), predicted_j in zip(measured.items(), fit.predicted_j, strict=True)
        ),
    )


def workload_grid(n_layers: int, exit_layers: Sequence[int], max_positions: int) -> list[Workload]:
    """Prompts x lengths x depths: the shallowest exit, the middle one and full depth.

    What a token attends to is told apart by a long prompt: read once, and decoded behind at two depths.
    """
    depths = sorted({exit_layers[0], exit_layers[len(exit_layers) // 2], n_layers}) if exit_layers else [n_layers]
    short = [
        Workload(prompt_tokens=prompt_tokens, new_tokens=new_tokens, exit_layer=exit_layer)
        for prompt_tokens, new_tokens, exit_layer in product(PROMPT_TOKENS, NEW_TOKENS, depths)
    ]
    n_long = min(LONG_PROMPT_TOKENS, max_positions - max(NEW_TOKENS))
    if n_long <= max(PROMPT_TOKENS):
        return short
    return [
        *short,
        Workload(prompt_tokens=n_long, new_tokens=1, exit_layer=n_layers),
        *(
            Workload(prompt_tokens=n_long, new_tokens=max(NEW_TOKENS), exit_layer=exit_layer, reuses_prompt=True)
            for exit_layer in (depths[0], n_layers)
        ),
    ]


def measure_idle_power_w(
    meter: EnergyMeter,
    *,
    clock: Callable[[], float] = time.perf_counter,
    wait: Callable[[float], None] = time.sleep,
) -> float | None:
    """Measures the power of the metered parts at rest, model loaded, in watts; None where it cannot be told.

    Args:
        meter: The counter to read.
        clock: Seconds, as the window counts them.
        wait: Waits some seconds.
    """
    with EnergyWindow(meter, clock=clock) as window:
        wait(max(IDLE_S, 2 * WINDOW_SAFETY_FACTOR * meter.refresh_s))
    return None if window.energy_j is None else window.energy_j / window.elapsed_s


def calibration_key(*, model: str, processor: str, threads: int | None, precision: Precision, runtime: Runtime) -> str:
    """Names what a calibration holds for by facts alone, such as "smollm2-135m | CPU | 2 | int8 | native".

    Args:
        model: The model's name.
        processor: The GPU's own name, or "CPU".
        threads: The most CPU threads; None on a GPU.
        precision: How the weights are held.
        runtime: What computes the layers.
    """
    return " | ".join((model, processor, "" if threads is None else str(threads), precision, runtime))


def load_calibration(path: Path, key: str, *, prior: DeviceCostModel) -> DeviceCostModel | None:
    """Reads one calibration; None where there is none for `key`.

    A coefficient that was not known when it was made keeps the prior's proportion to a layer; `unfitted` names it.

    Raises:
        MeterError: The file is damaged or may not be read. Completion goes on with the shipped default.
    """
    entry = _read_all(path).get(key)
    if entry is None:
        return None
    try:
        model = cattrs.structure(entry, DeviceCostModel)
        unfitted = tuple(name for name in COEFFICIENTS if name not in entry)
        scale = model.layer_pass_j / prior.layer_pass_j
        return replace(model, unfitted=unfitted, **{name: getattr(prior, name) * scale for name in unfitted})
    except (cattrs.BaseValidationError, ValueError, TypeError):
        raise _damaged(path) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestPower:
    """What the metered parts take at rest: with a model loaded, and before, where somebody measured that."""

    loaded_w: float
    unloaded_w: float | None

    @property
    def of_model_w(self) -> float | None:
        """What of it is the loaded model's, as far as that is known."""
        return None if self.unloaded_w is None else self.loaded_w - self.unloaded_w


def rest_power(path: Path, models: Sequence[str]) -> RestPower | None:
    """What a calibration has measured at rest; None unless exactly one of these models' has.

    Raises:
        MeterError: The file is damaged or may not be read.
    """
    entries = [entry for key, entry in _read_all(path).items() if key.partition(" | ")[0] in models]
    found = [
        RestPower(loaded_w=float(entry["idle_power_w"]), unloaded_w=entry.get("unloaded_power_w"))
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("idle_power_w"), int | float)
    ]
    return found[0] if len(found) == 1 else None


def calibration_facts(path: Path, key: str) -> Mapping[str, str]:
    """What else the calibration under `key` was made with; nothing where an earlier release made it.

    Raises:
        MeterError: The file is damaged or may not be read.
    """
    entry = _read_all(path).get(key, {})
    facts = entry.get(_FACTS, {}) if isinstance(entry, dict) else {}
    return facts if isinstance(facts, dict) else {}


def save_calibration(path: Path, key: str, model: DeviceCostModel, *, facts: Mapping[str, str] | None = None) -> None:
    """Keeps one calibration beside those of other keys. A damaged file is replaced; a reader never sees half a file.

    Args:
        path: The file.
        key: What it is found by.
        model: The fitted model.
        facts: What else it was made with, by what that is called before people.

    Raises:
        MeterError: The file cannot be written.
    """
    try:
        models = _read_all(path)
    except MeterError:
        models = {}
    text = json.dumps(
        {"version": _FORMAT_VERSION, "models": {**models, key: {**asdict(model), _FACTS: dict(facts or {})}}}, indent=2
    )
    try:
        with written_whole(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MeterError(f"The calibration cannot be kept in {path}: {error.strerror}.") from None


def _measure(
    run: Callable[[Workload], Mapping[Phase, Work]],
    workload: Workload,
    meter: EnergyMeter,
    idle_power_w: float,
    clock: Callable[[], float],
) -> tuple[Work, float]:
    """Repeats a workload inside one window; gives the work done and its active joules."""
    needed_s = max(WINDOW_S, 2 * WINDOW_SAFETY_FACTOR * meter.refresh_s)
    if workload.reuses_prompt:
        run(workload)
    work = Work()
    start_s = clock()
    with EnergyWindow(meter, clock=clock) as window:
        while clock() - start_s < needed_s:
            work = reduce(add, run(workload).values(), work)
    if window.energy_j is None:
        raise MeterError(f"The calibration failed: {window.refusal}")
    active_j = window.energy_j - idle_power_w * window.elapsed_s
    if active_j <= 0:
        raise MeterError("The machine drew no more power at work than at rest; calibrate again while it is quiet.")
    return work, active_j


def _at_most(limit: PowerLimit | None) -> str:
    """What whoever states a power may hold it against."""
    return "" if limit is None else f"; {limit.told}"


def _describe(workload: Workload) -> str:
    return (
        f"Measuring {workload.new_tokens} new tokens at layer {workload.exit_layer} "
        f"after a prompt of {workload.prompt_tokens}"
    )


def _read_all(path: Path) -> dict[str, Any]:
    """Reads the file's entries as JSON has them; none where there is no file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise MeterError(f"The calibration {path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise _damaged(path) from None
    models = content.get("models") if isinstance(content, dict) and content.get("version") == _FORMAT_VERSION else None
    if not isinstance(models, dict):
        raise _damaged(path)
    return models


def _damaged(path: Path) -> MeterError:
    return MeterError(f"The calibration {path} is damaged; run `green-code calibrate` to write it anew.")
