"""What a verification of the modelled saving is called before people. It computes nothing but differences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from engine.energy.verification import Cost, Verification


_STALE = "That is more than chance: what the model goes by has changed; `green-code calibrate` fits it anew."
_PACE = (
    "Joules are by the shipped prices here; this CPU takes {pace:.2g} times the seconds that they say, which the "
    "joules of requests follow."
)


def show_verification(console: Console, found: Verification, *, device: str, green_mode: int) -> None:
    """A table of both ways, and how far the model was off."""
    table = Table(title=f"{len(found.product)} places on {device}, green mode {green_mode}")
    for column in ("", "modelled, J", "CPU, s", "time, s", "counter, J"):
        table.add_column(column, justify="right" if column else "left")
    for name, costs, counted_j in (
        ("the product", found.product, found.product_j),
        ("full depth with KV cache", found.full, found.full_j),
    ):
        table.add_row(name, *_sums(costs), "-" if counted_j is None else f"{counted_j:.2f}")
    counted = found.by_counter
    table.add_row(
        "saved",
        found.modelled.as_percent(),
        found.by_cpu.as_percent(),
        found.by_time.as_percent(),
        "-" if counted is None else f"{100 * counted:.1f} %",
    )
    console.print(table)
    console.print("Each request begins with an empty cache, so its prompt is in both.", highlight=False)
    for sentence in sentences(found):
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)


def sentences(found: Verification) -> list[str]:
    """How far the modelled saving was off, and against what."""
    counted = found.by_counter
    if counted is not None:
        told = f"{_off(found.modelled.value, counted)} by {found.source}."
        return [told] if found.modelled.low <= counted <= found.modelled.high else [told, _STALE]
    measure, share = ("the time", found.by_time) if found.on_gpu else ("CPU seconds", found.by_cpu)
    why = found.refusal or "There is no energy counter."
    told = f"{_off(found.modelled.value, share.value)} by {measure}, which stand in for joules here: {why}"
    is_chance = share.low <= found.modelled.high and found.modelled.low <= share.high
    pace = [] if found.pace is None else [_PACE.format(pace=found.pace)]
    return [told, *pace] if is_chance else [told, _STALE, *pace]


def _off(modelled: float, found: float) -> str:
    points = 100 * (modelled - found)
    more = f"{abs(points):.1f} points {'more' if points > 0 else 'less'} than"
    words = more if round(abs(points), 1) else "as much as"
    return f"The model says that {100 * modelled:.1f} % is saved, {words} the {100 * found:.1f} %"


def _sums(costs: tuple[Cost, ...]) -> list[str]:
    return [f"{sum(getattr(cost, name) for cost in costs):.2f}" for name in ("modelled_j", "cpu_s", "elapsed_s")]
