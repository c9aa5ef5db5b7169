"""The command `green-code evaluate`: what every way to decode costs and gives. `lsp_server.cli.app` registers it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from engine.config import DEFAULT_MODEL, DeviceChoice, EngineConfig
from engine.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from engine.corpus.source_text import SourceFile
    from engine.evaluation.evaluate import Evaluation
    from engine.types import ProgressSink

    Progress = Callable[[], AbstractContextManager[ProgressSink]]

Protocol = Literal["kept", "paper", "babble", "infilling"]

_LANGUAGES = ("python", "java")
_PROTOCOLS = (
    "kept: as developers type; paper: GREEN-CODE's; babble: only the policy ends a text; infilling: HumanEval's."
)


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
        protocol: Annotated[Protocol, typer.Option("--protocol", help=_PROTOCOLS)] = "kept",
        places: Annotated[int, typer.Option("--places", min=2, help="Places to complete, in all.")] = 60,
        seeds: Annotated[int, typer.Option("--seeds", min=1, help="Independent draws that share the places.")] = 2,
        max_new_tokens: Annotated[
            int | None, typer.Option("--max-new-tokens", min=1, max=256, help="The protocol's own if left out.")
        ] = None,
        languages: Annotated[str, typer.Option("--languages", help="Comma-separated.")] = ",".join(_LANGUAGES),
        arms: Annotated[
            str, typer.Option("--arms", help="Names or groups, such as 'slider,fixed:*'; the protocol's if left out.")
        ] = "",
        benchmark: Annotated[
            Path | None, typer.Option("--benchmark", help="HumanEval's single-line infilling; its programs are run.")
        ] = None,
        output: Annotated[Path, typer.Option("--output", help="The folder for table, numbers and plot.")] = Path(
            "evaluation"
        ),
    ) -> None:
        """Compares the slider with full depth, fixed exits, thresholds and random exits on held-out code."""
        known = _known(_listed(languages))
        from engine.evaluation.evaluate import Evaluation

        evaluation = Evaluation(
            protocol=protocol,
            n_places=places,
            seeds=seeds,
            max_new_tokens=max_new_tokens,
            arms=_listed(arms),
            benchmark=benchmark,
        )
        text = _evaluate(EngineConfig(model=model, device=device), evaluation, known, output, progress)
        console = Console()
        console.print(text, highlight=False, markup=False, soft_wrap=True)
        console.print(f"The table, all numbers and the plot are in {output}", highlight=False, soft_wrap=True)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in text.split(","))))


def _known(languages: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := set(languages) - set(_LANGUAGES):
        raise ConfigError(f"The language '{min(unknown)}' has no held-out text; choose from {', '.join(_LANGUAGES)}.")
    return languages


def _evaluate(
    config: EngineConfig, evaluation: Evaluation, languages: tuple[str, ...], output: Path, progress: Progress
) -> str:
    from engine.corpus.datasets import LANGUAGES, gather_corpus
    from engine.evaluation.evaluate import evaluate
    from engine.evaluation.metrics import check_libraries
    from engine.model.loading import load_model
    from engine.model.reference.adapters import SUPPORTED_FAMILIES
    from engine.model.sources.store import resolve_model

    check_libraries()
    with progress() as sink:
        files = resolve_model(config.model, supported=SUPPORTED_FAMILIES, progress=sink)
        held_out: tuple[SourceFile, ...] = ()
        if evaluation.protocol != "infilling":
            wanted = [language for language in LANGUAGES if language in languages]
            held_out = gather_corpus(languages=wanted, progress=sink).files["test"]
        loaded = load_model(files.name, files.path, config)
        return evaluate(loaded, held_out, evaluation, output, progress=sink)
