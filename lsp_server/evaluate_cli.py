"""The command `green-code evaluate`: what every way to decode costs and gives. `lsp_server.cli` registers it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from engine.config import DEFAULT_MODEL, DeviceChoice, EngineConfig
from engine.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from engine.types import ProgressSink

    Progress = Callable[[], AbstractContextManager[ProgressSink]]

Protocol = Literal["kept", "paper"]

_LANGUAGES = ("python", "java")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """The options of the command, read."""

    config: EngineConfig
    protocol: Protocol
    n_places: int
    seeds: int
    max_new_tokens: int
    languages: tuple[str, ...]
    arms: tuple[str, ...]
    output: Path


def register(app: typer.Typer, progress: Progress) -> None:
    """Adds the command.

    Args:
        app: The command line.
        progress: Opens a bar that counts steps.
    """

    @app.command()
    def evaluate(
        model: Annotated[
            str, typer.Option("--model", help=f"{DEFAULT_MODEL}, a Hugging Face id, or a folder.", metavar="ID")
        ] = DEFAULT_MODEL,
        device: Annotated[DeviceChoice, typer.Option("--device", help="Where the model runs.")] = "auto",
        protocol: Annotated[
            Protocol,
            typer.Option(
                "--protocol", help="kept: as developers type. paper: GREEN-CODE's, 20 % of a file, 15 tokens."
            ),
        ] = "kept",
        places: Annotated[int, typer.Option("--places", min=2, help="Places to complete, in all.")] = 60,
        seeds: Annotated[int, typer.Option("--seeds", min=1, help="Independent draws that share the places.")] = 2,
        max_new_tokens: Annotated[
            int | None, typer.Option("--max-new-tokens", min=1, max=256, help="Per suggestion; the protocol's own.")
        ] = None,
        languages: Annotated[str, typer.Option("--languages", help="Comma-separated.")] = ",".join(_LANGUAGES),
        arms: Annotated[
            str, typer.Option("--arms", help="Comma-separated names or groups, such as 'green:*,fixed'; default: all.")
        ] = "all",
        output: Annotated[Path, typer.Option("--output", help="The folder for table, numbers and plot.")] = Path(
            "evaluation"
        ),
    ) -> None:
        """Compares the slider with full depth, fixed exits, thresholds and random exits on held-out code."""
        plan = _Plan(
            config=EngineConfig(model=model, device=device),
            protocol=protocol,
            n_places=places,
            seeds=seeds,
            max_new_tokens=max_new_tokens or {"kept": 24, "paper": 15}[protocol],
            languages=_listed(languages),
            arms=_listed(arms),
            output=output,
        )
        if unknown := set(plan.languages) - set(_LANGUAGES):
            raise ConfigError(f"The language '{min(unknown)}' has no held-out text; choose from python, java.")
        text = _evaluate(plan, progress)
        console = Console()
        console.print(text, highlight=False, markup=False, soft_wrap=True)
        console.print(f"The table, all numbers and the plot are in {output}", highlight=False, soft_wrap=True)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in text.split(","))))


def _evaluate(plan: _Plan, progress: Progress) -> str:
    from engine.evaluation.evaluate import Evaluation, evaluate
    from engine.evaluation.metrics import check_libraries
    from engine.model.architectures import SUPPORTED_FAMILIES
    from engine.model.loading import load_model
    from engine.model.store import resolve_model
    from engine.training.datasets import LANGUAGES, gather_corpus

    check_libraries()
    with progress() as sink:
        files = resolve_model(plan.config.model, supported=SUPPORTED_FAMILIES, progress=sink)
        corpus = gather_corpus(
            languages=[language for language in LANGUAGES if language in plan.languages], progress=sink
        )
        loaded = load_model(files.name, files.path, plan.config)
        return evaluate(
            loaded,
            corpus.files["test"],
            Evaluation(
                protocol=plan.protocol,
                n_places=plan.n_places,
                seeds=plan.seeds,
                max_new_tokens=plan.max_new_tokens,
                arms=plan.arms,
            ),
            plan.output,
            progress=sink,
        )
