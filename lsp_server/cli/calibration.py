"""What a calibration measured and how well the fit says it again: tables, and one page with plots. It fits nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rich.table import Table

from engine.evaluation.pages import ReportTable, chart, html_page, plain_logarithms, report_body
from engine.intervals import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from rich.console import Console

    from engine.energy.calibration import CalibratedWindow, Calibration
    from engine.intervals import Estimate

# What each coefficient is of, and how many of that are told together.
_COEFFICIENTS = {
    "prefill_token_j": ("prompt token", 1),
    "token_j": ("decoded token, beside its layers", 1),
    "layer_pass_j": ("layer", 1),
    "head_pass_j": ("LM head", 1),
    "context_pass_j": ("1,000 positions attended, in a layer", 1000),
    "context_token_j": ("1,000 positions attended, by a further row", 1000),
}
_ABOUT_RESIDUALS = (
    "A window is told by its tokens, the layer they left at, and the prompt tokens before them; each is predicted from "
    "all others. What no window sees (policy checks, propagation) keeps the shipped proportion."
)


def tables_of(made: Calibration) -> tuple[ReportTable, ReportTable]:
    """The fitted joules with their intervals, and each window with its residual."""
    intervals = made.intervals()
    return (
        ReportTable(
            title="Fitted",
            head=("work", "joules", "95 % interval"),
            rows=[
                [name, f"{each * getattr(made.model, field):.4g}", _interval(intervals[field], each)]
                for field, (name, each) in _COEFFICIENTS.items()
            ],
        ),
        ReportTable(
            title="Measured, and predicted from the other windows",
            head=("window", "measured J", "predicted J", "off"),
            rows=[
                [
                    _told(window),
                    f"{window.energy_j:.4g}",
                    f"{window.predicted_j:.4g}",
                    percent(window.residual, form="+.1f"),
                ]
                for window in made.windows
            ],
        ),
    )


def show(console: Console, made: Calibration, tables: Sequence[ReportTable]) -> None:
    """The tables, and how far the model may be off."""
    for each in tables:
        table = Table(*each.head, box=None)
        for column in table.columns[1:]:
            column.justify = "right"
        for row in each.rows:
            table.add_row(*row)
        console.print(table)
    console.print(_error(made), highlight=False, soft_wrap=True)


def page(made: Calibration, tables: Sequence[ReportTable], *, title: str) -> str:
    """The same with plots, as one self-contained page."""
    plots = [chart(partial(_draw, windows=made.windows), told="Each window's joules, measured and predicted")]
    return html_page(title, report_body([_error(made), _ABOUT_RESIDUALS], plots, tables))


def _error(made: Calibration) -> str:
    error = made.model.relative_error
    off = "unknown" if error is None else percent(error)
    if made.model.is_good_fit:
        source = made.model.told
        return f"{source[0].upper()}{source[1:]}; mean relative error {off}."
    return (
        f"The fit is not kept, for its mean relative error is {off}: joules go by the prices of before; calibrate "
        "again while nothing else runs."
    )


def _interval(found: Estimate, each: int) -> str:
    return f"{each * found.low:.4g} to {each * found.high:.4g}"


def _told(window: CalibratedWindow) -> str:
    workload = window.workload
    told = f"{workload.new_tokens} at layer {workload.exit_layer} behind {workload.prompt_tokens:,}"
    return f"{told} in the cache" if workload.reuses_prompt else told


def _draw(figure: Figure, *, windows: Sequence[CalibratedWindow]) -> None:
    left, right = figure.subplots(1, 2)
    measured = [window.energy_j for window in windows]
    predicted = [window.predicted_j for window in windows]
    ends = [min(*measured, *predicted), max(*measured, *predicted)]
    left.plot(ends, ends, color="#9aa39d", linewidth=1)
    left.plot(measured, predicted, "o", color="#2e9e5b")
    left.set(xlabel="measured, J a window", ylabel="predicted from the others, J", xscale="log", yscale="log")
    plain_logarithms(left)
    right.axvline(0.0, color="#9aa39d", linewidth=1)
    right.barh([_told(window) for window in windows], [100 * window.residual for window in windows], color="#3b7dd8")
    right.tick_params(axis="y", labelsize=8)
    right.set(xlabel="off, %")
