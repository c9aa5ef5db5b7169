"""The command `green-code train acceptance`; registered by `lsp_server.cli.app`, on whose `train` group it stands."""

from __future__ import annotations

import importlib.util
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from engine.config import DEFAULT_MODEL, DeviceChoice, EngineConfig
from engine.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from engine.types import ProgressSink


def register(train_app: typer.Typer, progress_bar: Callable[[], AbstractContextManager[ProgressSink]]) -> None:
    """Adds the command to the `train` group.

    Args:
        train_app: The group.
        progress_bar: Opens a bar that counts steps.
    """

    @train_app.command("acceptance")
    def train_acceptance(
        model: Annotated[
            str, typer.Option("--model", help=f"{DEFAULT_MODEL}, a Hugging Face id, or a folder.", metavar="ID")
        ] = DEFAULT_MODEL,
        device: Annotated[DeviceChoice, typer.Option("--device", help="Where the model runs.")] = "auto",
        n_files: Annotated[int, typer.Option("--files", min=5, help="Files to ask in, 24 places each.")] = 200,
        seed: Annotated[int, typer.Option("--seed", help="Of the places that are drawn.")] = 0,
        output: Annotated[
            Path | None, typer.Option("--output", help="The file to write; where the server finds it if left out.")
        ] = None,
    ) -> None:
        """Teaches the server where a suggestion is likely kept, so that it need not ask elsewhere: ten minutes."""
        if importlib.util.find_spec("sklearn") is None:
            raise TrainingError("Training needs more packages: pip install 'green-code[train]'.")
        from engine.completion.acceptance import own_acceptance_path, save_acceptance
        from engine.corpus.datasets import gather_corpus
        from engine.training.acceptance import ask_places, fit_acceptance

        path = output or own_acceptance_path()
        with progress_bar() as progress:
            corpus = gather_corpus(progress=progress)
            config = EngineConfig(model=model, device=device)
            asked = ask_places(config, corpus.files["train"], n_files, seed=seed, progress=progress)
        fitted = fit_acceptance(asked, model=model, corpus=corpus)
        save_acceptance(fitted.model, path)
        Console().print(
            f"{len(asked)} places, {fitted.model.mean:.0%} of their suggestions would be kept. In files not seen: "
            f"AUC {fitted.auc:.3f}; the likelier half of the places holds {fitted.kept_by_half:.0%} of them.\n"
            f"It is in {path}",
            highlight=False,
            soft_wrap=True,
        )
