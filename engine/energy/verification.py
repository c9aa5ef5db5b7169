"""How far the modelled saving is off: places decoded as the product does and at full depth, both of them run.

Knows no decoder: it is given what runs a place either way. All places of one way share a window, so that a counter of
slow refresh sees them. Where there is no counter, CPU seconds stand in for joules on a CPU, and seconds on a GPU.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from engine.energy.cost_model import CPU_ACTIVE_POWER_W, phase_energy_j
from engine.energy.meter import EnergyWindow
from engine.intervals import Estimate, draws, estimate
from engine.types import no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.energy.cost_model import DeviceCostModel
    from engine.energy.meter import EnergyMeter
    from engine.intervals import Floats
    from engine.types import Phase, ProgressSink, Work


class BothWays(Protocol):
    """One place; each run begins with an empty cache and gives the work that it did."""

    def product(self) -> Mapping[Phase, Work]:
        """Runs it as the product does."""
        ...

    def full(self) -> Mapping[Phase, Work]:
        """Runs as many tokens at full depth with a KV cache; called behind `product`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one way of decoding took: a place, or all of them; sums over the rounds."""

    modelled_j: float
    cpu_s: float
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found.

    Attributes:
        product: Each place as the product decodes it.
        full: The same places at full depth.
        product_j: The counter's joules of all places, idle power subtracted where it is known; None without a counter.
        full_j: The same at full depth.
        on_gpu: Whether seconds stand in where there is no counter, and not CPU seconds.
        source: The counter; "" without one.
        refusal: Why the counter's joules are not known, one sentence; "" where they are.
        is_paced: Whether the joules that people are told follow CPU seconds; those here are by prices alone.
    """

    product: tuple[Cost, ...]
    full: tuple[Cost, ...]
    product_j: float | None
    full_j: float | None
    on_gpu: bool
    source: str
    refusal: str
    is_paced: bool = False

    @property
    def pace(self) -> float | None:
        """The product's CPU seconds over those that the prices say; None where joules follow nothing of the kind."""
        modelled_j = sum(cost.modelled_j for cost in self.product)
        if not self.is_paced or not modelled_j:
            return None
        return sum(cost.cpu_s for cost in self.product) * CPU_ACTIVE_POWER_W / modelled_j

    @property
    def modelled(self) -> Estimate:
        """The share of the joules that the model says is saved, with an interval over the places."""
        return self._saved([cost.modelled_j for cost in self.product], [cost.modelled_j for cost in self.full])

    @property
    def by_cpu(self) -> Estimate:
        """The share of the CPU seconds that is saved."""
        return self._saved([cost.cpu_s for cost in self.product], [cost.cpu_s for cost in self.full])

    @property
    def by_time(self) -> Estimate:
        """The share of the seconds that is saved."""
        return self._saved([cost.elapsed_s for cost in self.product], [cost.elapsed_s for cost in self.full])

    @property
    def by_counter(self) -> float | None:
        """The share of the counter's joules that is saved."""
        return 1.0 - self.product_j / self.full_j if self.product_j is not None and self.full_j else None

    def _saved(self, product: Sequence[float], full: Sequence[float]) -> Estimate:
        counts: Floats = draws(len(product))
        with np.errstate(divide="ignore", invalid="ignore"):
            return estimate(1.0 - (counts @ np.array(product)) / (counts @ np.array(full)))


def verify(
    places: Sequence[BothWays],
    *,
    cost_model: DeviceCostModel,
    meter: EnergyMeter | None,
    on_gpu: bool,
    rounds: int,
    progress: ProgressSink = no_progress,
    clock: Callable[[], float] = time.perf_counter,
    cpu_clock: Callable[[], float] = time.process_time,
) -> Verification:
    """Runs every place both ways, the ways taking turns.

    Args:
        places: At least one.
        cost_model: Whose saving is judged.
        meter: The counter to read; None for none.
        on_gpu: See `Verification`.
        rounds: How often; one more before them warms up and is thrown away.
        progress: Is called for each round.
        clock: Seconds.
        cpu_clock: CPU seconds of all threads of this process.
    """
    idle_power_w = cost_model.idle_power_w or 0.0
    costs: dict[str, list[list[Cost]]] = {"product": [], "full": []}
    joules: dict[str, float] = {"product": 0.0, "full": 0.0}
    refusal = ""
    for round_ in range(rounds + 1):
        progress("Rounds of both ways", round_, rounds + 1)
        for way, found in costs.items():
            with EnergyWindow(meter, clock=clock) as window:
                taken = [_run(getattr(place, way), cost_model, clock, cpu_clock) for place in places]
            if not round_:
                continue
            found.append(taken)
            if window.energy_j is None:
                refusal = refusal or window.refusal or ""
            else:
                joules[way] += window.energy_j - idle_power_w * window.elapsed_s
    progress("Rounds of both ways", rounds + 1, rounds + 1)
    return Verification(
        product=_summed(costs["product"]),
        full=_summed(costs["full"]),
        product_j=None if refusal else joules["product"],
        full_j=None if refusal else joules["full"],
        on_gpu=on_gpu,
        source="" if meter is None else meter.name,
        refusal=refusal,
        is_paced=cost_model.is_paced,
    )


def _run(
    run: Callable[[], Mapping[Phase, Work]],
    cost_model: DeviceCostModel,
    clock: Callable[[], float],
    cpu_clock: Callable[[], float],
) -> Cost:
    start_s, start_cpu_s = clock(), cpu_clock()
    work = run()
    elapsed_s, cpu_s = clock() - start_s, cpu_clock() - start_cpu_s
    return Cost(modelled_j=sum(phase_energy_j(cost_model, work).values()), cpu_s=cpu_s, elapsed_s=elapsed_s)


def _summed(rounds: Sequence[Sequence[Cost]]) -> tuple[Cost, ...]:
    """For each place the sums over the rounds."""
    return tuple(
        Cost(
            modelled_j=sum(cost.modelled_j for cost in costs),
            cpu_s=sum(cost.cpu_s for cost in costs),
            elapsed_s=sum(cost.elapsed_s for cost in costs),
        )
        for costs in zip(*rounds, strict=True)
    )
