"""The commands `green-code doctor` and `green-code calibrate`: what this machine has, and what its work costs."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer
from rich.console import Console

from engine.config import DEFAULT_MODEL, VERSION, DeviceChoice, cache_dir, data_dir
from engine.energy.meter import StatedPowerMeter
from engine.errors import EngineError
from engine.evaluation.pages import require_charts
from engine.sentences import Sentence
from lsp_server.cli import calibration, render
from lsp_server.cli.options import (
    DeviceOption,
    Model,
    PrecisionOption,
    file_to_write,
    open_engine,
    progress_bar,
    write_page,
)
from lsp_server.cli.tested_versions import untried_versions
from lsp_server.translation import translator

_TOLD_PACKAGES = ("torch", "transformers", "pygls")

app = typer.Typer()


@app.command()
def doctor(
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    language: Annotated[
        str,
        typer.Option(
            "--language",
            # An editor names it so, because an older server passes over a variable that it does not know.
            envvar="GREEN_CODE_LANGUAGE",
            help="Of the report, such as de; English where there is no translation.",
            metavar="CODE",
        ),
    ] = "",
) -> None:
    """Says what was found: model, device, energy meters, and why others were refused."""
    console, say = Console(), translator(language)
    console.print(f"Green Code {VERSION}, Python {platform.python_version()}", highlight=False, soft_wrap=True)
    for name in _TOLD_PACKAGES:
        console.print(f"  {name} {say(_version_of(name))}", highlight=False, soft_wrap=True)
    render.show_untried(console, untried_versions(), say)
    for place in (
        Sentence("models in {folder}", folder=cache_dir()),
        Sentence("ledger in {folder}", folder=data_dir()),
    ):
        console.print(f"  {say(place)}", highlight=False, soft_wrap=True)
    try:
        with open_engine(model, device, precision, say=say) as engine:
            render.show_parts(console, engine, say)
    except EngineError as error:  # what was found before is told all the same
        render.show_missing_model(console, error, say)


@app.command()
def calibrate(
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    power_w: Annotated[
        float | None,
        typer.Option(
            "--power-w",
            help="Without a counter: what the machine takes at work beyond rest; joules are then seconds times that.",
            metavar="W",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            help="A page with what was measured and how it fits.",
            metavar="FILE",
            callback=file_to_write,
        ),
    ] = None,
) -> None:
    """Fits the model of this device's energy to its counter: about a minute on a quiet machine."""
    if html is not None:
        require_charts()
    if power_w is not None:
        StatedPowerMeter(power_w)  # refuses what is no power before a model is fetched
    unloaded_power_w = None if power_w is not None else _power_at_rest_w(device)
    with open_engine(model, device, precision) as engine, progress_bar() as progress:
        made = engine.calibrate(power_w=power_w, unloaded_power_w=unloaded_power_w, progress=progress)
        device_name = engine.device_name
    tables = calibration.tables_of(made)
    calibration.show(Console(), made, tables)
    if html is not None:
        title = f"The energy of {model} on {device_name}"
        write_page(html, calibration.page(made, tables, title=title))


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return Sentence("is not installed: GPUs, training and most models but the default one need it")


def _power_at_rest_w(device: DeviceChoice) -> float | None:
    """What the counter sees before a model is loaded; None without one."""
    from engine.energy.calibration import measure_idle_power_w
    from engine.energy.detect import detect_meter
    from engine.model.loading import pick_device

    meter = detect_meter(pick_device(device)).meter
    if meter is None:
        return None
    power_w = measure_idle_power_w(meter)
    meter.close()
    return power_w
