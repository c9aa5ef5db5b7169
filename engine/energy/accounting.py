"""Turns the work and the window of one request into joules with their provenance. Reads no meter, knows no text."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.energy.cost_model import phase_energy_j
from engine.energy.load import FOREIGN_SHARE
from engine.sentences import Sentence
from engine.types import EnergyReading, Provenance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.energy.cost_model import DeviceCostModel
    from engine.energy.meter import EnergyMeter, EnergyWindow
    from engine.energy.pace import Pace
    from engine.types import Phase, Work


def energy_source(meter: EnergyMeter | None, cost_model: DeviceCostModel) -> str:
    """How joules are had, for people, such as "measured: RAPL counter, package-0"."""
    if meter is None:
        return Sentence("modelled: {source}", source=cost_model.told)
    if meter.provenance is Provenance.SAMPLED:
        return Sentence("sampled: {source}", source=meter.name)
    if meter.provenance is Provenance.MIXED:
        return Sentence("measured and sampled: {source}", source=meter.name)
    return Sentence("measured: {source}", source=meter.name)


class Account(NamedTuple):
    """What one request cost, and what that is to be compared with.

    Attributes:
        reading: Its active joules.
        baseline_j: Those of its baseline, always modelled; None where it cannot be told.
        saved_range_j: Between which joules the baseline less the cost is likely to lie; None where that is.
    """

    reading: EnergyReading
    baseline_j: float | None
    saved_range_j: tuple[float, float] | None


def account(
    work: Mapping[Phase, Work],
    *,
    cost_model: DeviceCostModel | None,
    window: EnergyWindow | None,
    elapsed_s: float,
    baseline: Mapping[Phase, Work],
    pace: Pace | None = None,
) -> Account:
    """Gives the active joules of one request and those of its baseline.

    A trusted window gives the total, less the idle power where a calibration measured it; the cost model splits it by
    phase. Without one the total is modelled as well: by the work, times the CPU's pace where the cost model asks for
    it, which learns of the request; or by the time where the cost model has a power. The baseline was never run: it is
    the total times the modelled baseline over the modelled work, so that a model that is wrong by a factor is right
    about the ratio.

    So where the total is modelled, cost and baseline come of the same prices: what is wrong is one factor in both, and
    in their difference; the share that is saved stays. Where it is measured, the counter stands for that factor, and
    the model's error moves the baseline alone, perhaps below the cost; for a model that was never fitted that is wider
    than need be, but nothing narrower is known. Other programs' work in a counter is a factor in both again.

    Args:
        work: What was computed.
        cost_model: The device's; None where no model fits.
        window: The closed window round the request, or None.
        elapsed_s: The request's time, in seconds.
        baseline: The same request at full depth with a KV cache.
        pace: The CPU's; None where joules are to be by the prices alone.
    """
    modelled = phase_energy_j(cost_model, work) if cost_model else {}
    modelled_j = sum(modelled.values())
    by_phase: Mapping[Phase, float] | None = None
    total_j, source = _active_j(cost_model, window)
    if total_j is not None and window is not None:
        provenance, scale = window.provenance, total_j / modelled_j if modelled_j else None
    elif cost_model:
        total_j, source, provenance, scale = modelled_j, cost_model.told, Provenance.MODELLED, 1.0
        if cost_model.power_w is not None and modelled_j:
            total_j = cost_model.power_w * elapsed_s
            scale = total_j / modelled_j
        elif cost_model.is_paced and pace is not None:
            if window is not None and window.cpu_s is not None:
                pace.learn(modelled, window.cpu_s, window.first_cpu_s)
            scale = pace.factor
            total_j, by_phase = modelled_j * scale, pace.split(modelled)
    else:
        reading = EnergyReading(energy_j=None, provenance=Provenance.NONE, source="", elapsed_s=elapsed_s)
        return Account(reading, None, None)
    if by_phase is None:
        by_phase = {} if scale is None else {phase: phase_j * scale for phase, phase_j in modelled.items()}
    reading = EnergyReading(
        energy_j=total_j,
        provenance=provenance,
        source=source,
        elapsed_s=elapsed_s,
        by_phase=by_phase,
        range_j=_range_j(cost_model, window, total_j, provenance),
    )
    if cost_model is None or scale is None:
        return Account(reading, None, None)
    baseline_j = sum(phase_energy_j(cost_model, baseline).values()) * scale
    return Account(reading, baseline_j, _saved_range_j(cost_model, window, total_j, baseline_j, provenance))


def _range_j(
    cost_model: DeviceCostModel | None, window: EnergyWindow | None, energy_j: float, provenance: Provenance
) -> tuple[float, float] | None:
    """Between which joules the truth is likely to lie; None where a counter saw hardly anybody but us."""
    if provenance is not Provenance.MODELLED:
        share = _marked_share(window)
        return None if share is None else ((1.0 - share) * energy_j, energy_j)
    if cost_model is None:
        return None
    low, high = cost_model.spread
    return low * energy_j, high * energy_j


def _saved_range_j(
    cost_model: DeviceCostModel,
    window: EnergyWindow | None,
    energy_j: float,
    baseline_j: float,
    provenance: Provenance,
) -> tuple[float, float]:
    """Between which joules the saving is likely to lie; `account` says why."""
    both, baseline = cost_model.spread, (1.0, 1.0)
    if provenance is not Provenance.MODELLED:
        both, baseline = (1.0 - (_marked_share(window) or 0.0), 1.0), cost_model.spread
    ends = [times * (factor * baseline_j - energy_j) for times in both for factor in baseline]
    return min(ends), max(ends)


def _marked_share(window: EnergyWindow | None) -> float | None:
    """Other programs' share of the work in a window, where it is worth a mark."""
    share = None if window is None else window.foreign_share
    return share if share is not None and share >= FOREIGN_SHARE else None


def _active_j(cost_model: DeviceCostModel | None, window: EnergyWindow | None) -> tuple[float | None, str]:
    """The window's joules without idle power, and their source; None where nothing trustworthy is left."""
    if window is None or window.energy_j is None:
        return None, ""
    idle_power_w = cost_model.idle_power_w if cost_model else None
    others = "" if _marked_share(window) is None else Sentence(", other programs' work included")
    if idle_power_w is None:
        return window.energy_j, Sentence("{source}, idle included{others}", source=window.source, others=others)
    active_j = window.energy_j - idle_power_w * window.elapsed_s
    if active_j <= 0:  # the machine idles lower than when it was calibrated
        return None, ""
    source = Sentence(
        "{source}, {idle_w:.1f} W idle subtracted{others}", source=window.source, idle_w=idle_power_w, others=others
    )
    return active_j, source
