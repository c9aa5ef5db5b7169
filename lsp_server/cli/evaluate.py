"""The command `green-code evaluate`: what every way to decode costs and gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from engine.config import DEFAULT_MODEL, EngineConfig
from engine.errors import ConfigError
from lsp_server.cli.options import DeviceOption, Model, listed, output_folder, progress_bar

if TYPE_CHECKING:
    from engine.corpus.source_text import SourceFile

Protocol = Literal["kept", "paper", "babble", "infilling"]

_LANGUAGES = ("python", "java")
_PROTOCOLS = (
    "kept: as developers type; paper: GREEN-CODE's; babble: only the policy ends a text; infilling: HumanEval's."
)

app = typer.Typer()


@app.command()
def evaluate(
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
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
    project: Annotated[
        bool, typer.Option("--project/--no-project", help="Completes from a file's package as well, where people type.")
    ] = True,
    output: Annotated[Path, output_folder("The folder for table, numbers and plot.")] = Path("evaluation"),
) -> None:
    """Compares the slider with full depth, fixed exits, thresholds and random exits on held-out code."""
    wanted_languages = listed(languages)
    if unknown := set(wanted_languages) - set(_LANGUAGES):
        raise ConfigError(f"The language '{min(unknown)}' has no held-out text; choose from {', '.join(_LANGUAGES)}.")
    from engine.corpus.datasets import CORPUS_LANGUAGES, gather_corpus
    from engine.evaluation.evaluate import Evaluation
    from engine.evaluation.evaluate import evaluate as run
    from engine.evaluation.metrics import check_libraries
    from engine.model.loading import load_model
    from engine.model.sources.store import resolve_model

    check_libraries()
    evaluation = Evaluation(
        protocol=protocol,
        n_places=places,
        seeds=seeds,
        max_new_tokens=max_new_tokens,
        arms=listed(arms),
        benchmark=benchmark,
        in_packages=project,
    )
    with progress_bar(counting=True) as progress:
        files = resolve_model(model, progress=progress)
        held_out: tuple[SourceFile, ...] = ()
        if protocol != "infilling":
            wanted = [language for language in CORPUS_LANGUAGES if language in wanted_languages]
            held_out = gather_corpus(languages=wanted, progress=progress).files["test"]
        loaded = load_model(files.name, files.path, EngineConfig(model=model, device=device))
        text = run(loaded, held_out, evaluation, output, progress=progress)
    console = Console()
    console.print(text, highlight=False, markup=False, soft_wrap=True)
    console.print(f"The table, all numbers and the plot are in {output}", highlight=False, soft_wrap=True)
