"""The commands `green-code reproduce ...`: published experiments, with any supported model on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from engine.config import DEFAULT_MODEL, EngineConfig
from lsp_server.cli.options import DeviceOption, Model, PrecisionOption, progress_bar

if TYPE_CHECKING:
    from engine.corpus.source_text import SourceFile

DataSet = Literal["held-out", "py150", "javacorpus"]

app = typer.Typer(help="Runs published experiments again, with any supported model.", no_args_is_help=True)


@app.callback()
def reproduce() -> None:
    """Runs published experiments again, with any supported model."""


@app.command("green-code")
def green_code(
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    data_set: Annotated[
        DataSet, typer.Option("--data-set", help="Held-out packages, or one of the paper's, from the hub or --file.")
    ] = "held-out",
    file: Annotated[
        Path | None, typer.Option("--file", help="The paper's data set in a file: text, JSON lines or Parquet.")
    ] = None,
    places: Annotated[int, typer.Option("--places", min=2, help="Completions of each kind.")] = 40,
    output: Annotated[Path, typer.Option("--output", help="The folder for page, table and numbers.")] = Path(
        "reproduction"
    ),
) -> None:
    """Early exit against full depth with and without a KV cache, as GREEN-CODE did it; its figures beside ours."""
    from engine.corpus.datasets import gather_corpus
    from engine.energy.detect import detect_meter
    from engine.evaluation.metrics import check_libraries
    from engine.evaluation.reproduction import data_set_places
    from engine.evaluation.reproduction import reproduce as run
    from engine.evaluation.reproduction_page import write_reproduction
    from engine.model.loading import load_model
    from engine.model.sources.store import resolve_model

    check_libraries()
    with progress_bar(counting=True) as progress:
        files = resolve_model(model, progress=progress)
        config = EngineConfig(model=model, device=device, precision=precision)
        loaded = load_model(files.name, files.path, config, progress=progress)
        held_out: tuple[SourceFile, ...] = ()
        if data_set == "held-out":
            held_out = gather_corpus(progress=progress).files["test"]
        drawn = data_set_places(data_set, loaded, places, file=file, held_out=held_out)
        rows = run(loaded, drawn, meter=detect_meter(loaded.device).meter, progress=progress)
    text = write_reproduction(
        output, rows, model=loaded.name, device=loaded.device_name, data_set=data_set, n_places=len(drawn)
    )
    console = Console()
    console.print(text, highlight=False, markup=False, soft_wrap=True)
    console.print(f"The page, the table and all numbers are in {output}", highlight=False, soft_wrap=True)
