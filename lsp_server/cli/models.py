"""The commands `green-code models ...`: the models on this machine."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from engine.config import DEFAULT_MODEL
from lsp_server.cli import render
from lsp_server.cli.options import DeviceOption, progress_bar
from lsp_server.cli.train import teach_exits

app = typer.Typer(help="The models on this machine.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """Lists the models on this machine."""
    from engine.model.sources.store import list_models

    render.show_models(Console(), list_models())


@app.command()
def recommend() -> None:
    """Says which models this machine runs well: time and joules a token, memory, licence; one is advised."""
    from engine.recommendation import measure_machine, recommend

    machine = measure_machine()
    render.show_recommendations(Console(), recommend(machine), machine)


@app.command()
def pull(name: Annotated[str, typer.Argument(help="The model to fetch.")] = DEFAULT_MODEL) -> None:
    """Fetches a model, or checks the one that is here."""
    from engine.model.sources import store

    if (sizes := store.sizes(name)) is not None:
        render.show_needs(Console(), name, sizes)
    with progress_bar() as progress:
        files = store.pull(name, progress=progress)
    Console().print(f"{files.name} is ready in {files.path}", highlight=False, soft_wrap=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="A model of the hub, or a folder with one.")],
    device: DeviceOption = "auto",
) -> None:
    """Fetches a model and teaches its exits: minutes later it is an early-exit model, its own weights unchanged."""
    from engine.model.loading import pick_device
    from engine.model.sources import store
    from engine.recommendation import measure_machine, teaching_s
    from engine.training.exits import TrainingPlan

    if (sizes := store.sizes(name)) is not None:
        machine = measure_machine()
        render.show_needs(Console(), name, sizes, teaching_s=teaching_s(sizes, TrainingPlan().n_tokens, machine))
        if pick_device(device) == "cpu":
            sizes.needs.refuse_teaching(name)
    teach_exits(name, device)
    Console().print(f"Use it with --model {name}, or as the model in the settings.", highlight=False, soft_wrap=True)


@app.command()
def remove(name: Annotated[str, typer.Argument(help="The model to delete.")]) -> None:
    """Deletes a model from this machine."""
    from engine.model.sources import store

    freed_bytes = store.remove(name)
    Console().print(f"{name} is removed; {freed_bytes / 1e6:.0f} MB are free again.", highlight=False)
