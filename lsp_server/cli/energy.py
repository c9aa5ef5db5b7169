"""The commands `green-code energy ...`: what completions have cost, from the user's own ledger."""

from __future__ import annotations

import csv
import json
import sys
from datetime import datetime  # noqa: TC003 - typer reads the annotations
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from engine.config import DEFAULT_MODEL, data_dir
from engine.energy.calibration import CALIBRATION_FILE, rest_power
from engine.energy.carbon import carbon_intensity, own_intensity
from engine.errors import ConfigError
from engine.types import DEFAULT_GREEN_MODE
from lsp_server.books.ledger import LEDGER_FILE
from lsp_server.books.reports import GROUPS, read_report
from lsp_server.cli import energy_report as shown
from lsp_server.cli.options import (
    DeviceOption,
    GreenMode,
    Model,
    PrecisionOption,
    file_to_write,
    moment,
    open_engine,
    progress_bar,
    write_page,
)
from lsp_server.cli.verification import show_verification
from lsp_server.rest import MINUTE_S, USUAL_MINUTES

app = typer.Typer(help="What your completions have cost, from the ledger on this machine.", no_args_is_help=True)


@app.command()
def verify(
    files: Annotated[list[Path] | None, typer.Argument(help="Source files; held-out ones if left out.")] = None,
    places: Annotated[int, typer.Option("--places", min=2, help="How many places, over all files.")] = 30,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often each is decoded either way.")] = 3,
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    green_mode: GreenMode = DEFAULT_GREEN_MODE,
) -> None:
    """Decodes places as the product does and at full depth with KV cache, and says how far off a modelled saving is."""
    from engine.corpus.installed import installed_held_out
    from engine.files import read_source
    from lsp_server.cli.complete import requests_of

    texts = [(path, read_source(path)) for path in files or ()]
    texts = texts or [(Path(file.path), file.text) for file in installed_held_out()[:places]]
    requests = requests_of(texts, places, green_mode=green_mode)
    with open_engine(model, device, precision) as engine, progress_bar(counting=True) as progress:
        found = engine.verify(requests, rounds=rounds, progress=progress)
        show_verification(Console(), found, device=engine.device_name, green_mode=green_mode)


@app.command()
def report(
    since: Annotated[
        datetime | None,
        typer.Option(
            "--since", parser=moment, help="The first day, such as 2026-11-30, or 2026-11-30T14:00.", metavar="DAY"
        ),
    ] = None,
    by: Annotated[
        Literal["hour", "day", "session", "project", "language"], typer.Option("--by", help="What the table lists.")
    ] = "day",
    as_csv: Annotated[bool, typer.Option("--csv", help="All sums as CSV on stdout.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All sums as JSON on stdout.")] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="A page with charts, in one file.", metavar="FILE", callback=file_to_write),
    ] = None,
    country: Annotated[
        str | None,
        typer.Option(
            "--country",
            envvar="GREEN_CODE_COUNTRY",
            help="Whose electricity it was, such as FRA, for grams of CO2.",
            metavar="ISO",
        ),
    ] = None,
    g_per_kwh: Annotated[
        float | None, typer.Option("--g-per-kwh", help="Your own grams of CO2 per kWh instead.", metavar="G")
    ] = None,
    rest_after: Annotated[
        int,
        typer.Option(
            "--rest-after",
            min=1,
            help="After how many minutes without a key your editor gives the model back: greenCode.restAfterMinutes.",
            metavar="MINUTES",
        ),
    ] = USUAL_MINUTES,
    ledger: Annotated[Path | None, typer.Option("--ledger", help="Another ledger than yours.", metavar="FILE")] = None,
) -> None:
    """Sums up the ledger by hour, day, session, project and language.

    Projects are told by a hash; the one of the folder you are in is marked. Joules are those of requests that reached
    the engine; what a loaded model took between them, and reading projects, is told apart. A computer's screen and all
    else is in none of them.
    """
    if as_csv + as_json + (html is not None) > 1:
        raise ConfigError("Choose one of --csv, --json and --html.")
    carbon = None
    if g_per_kwh is not None:
        carbon = own_intensity(g_per_kwh)
    elif country is not None:
        carbon = carbon_intensity(country)
    if ledger is not None and not ledger.exists():
        raise ConfigError(f"There is no file {ledger}.")
    found = read_report(ledger or data_dir() / LEDGER_FILE, since, Path.cwd(), rest_after_s=rest_after * MINUTE_S)
    rest = rest_power(data_dir() / CALIBRATION_FILE, found.models)
    if as_json:
        sys.stdout.write(json.dumps(shown.as_record(found, carbon, rest), indent=1) + "\n")
    elif as_csv:
        rows = shown.as_rows(found, carbon, rest)
        writer = csv.DictWriter(sys.stdout, shown.COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    elif html is not None:
        from lsp_server.cli.energy_page import page

        write_page(html, page(found, carbon, rest))
        Console().print(f"The page is {html}", highlight=False, markup=False, soft_wrap=True)
    else:
        assert by in GROUPS
        shown.show_report(Console(), found, by, carbon, rest)
