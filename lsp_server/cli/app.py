"""The command line `green-code`: argument parsing, and errors as one sentence on stderr.

What the commands do is elsewhere: `lsp_server.server` serves, `lsp_server.cli.render` prints, `engine.engine`
completes.
Exit status: 0 done, 1 it could not be done (one sentence says why), 2 the command was not understood.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.text import Text

from engine.config import DEFAULT_MODEL, DeviceChoice, EngineConfig, PrecisionChoice
from engine.errors import ConfigError, EngineError
from engine.types import DEFAULT_GREEN_MODE, GREEN_MODE_MAX, CompletionRequest
from lsp_server.cli import bench as bench_cli
from lsp_server.cli import evaluate as evaluate_cli
from lsp_server.cli import train_acceptance as train_acceptance_cli
from lsp_server.cli import train_policy as train_policy_cli

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.engine import Engine
    from engine.training.exits import TrainingPlan
    from engine.types import ProgressSink

_TRACE_VARIABLE = "GREEN_CODE_TRACE"  # set to anything: faults of ours end in their stack

app = typer.Typer(
    name="green-code",
    help="Inline code completion from an early-exit language model on your own machine, with its energy made visible.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(help="The models on this machine.", no_args_is_help=True)
app.add_typer(models_app, name="models")
train_app = typer.Typer(help="Trains what early exit needs; only your own machine sees it.", no_args_is_help=True)
app.add_typer(train_app, name="train")

Model = Annotated[
    str, typer.Option("--model", help=f"{DEFAULT_MODEL}, a Hugging Face id, or a folder with a model.", metavar="ID")
]
DeviceOption = Annotated[DeviceChoice, typer.Option("--device", help="Where the model runs.")]
PrecisionOption = Annotated[PrecisionChoice, typer.Option("--precision", help="Of the weights on a CPU.")]
GreenMode = Annotated[
    int,
    typer.Option("--green-mode", min=0, max=GREEN_MODE_MAX, help="0 lossless ... 100 greenest.", metavar="N"),
]
Policy = Annotated[
    str | None,
    typer.Option(
        "--policy",
        help="full-depth, fixed:LAYER, confidence:P or learned; what the green mode means if left out.",
        metavar="NAME",
    ),
]
MaxNewTokens = Annotated[int, typer.Option("--max-new-tokens", min=1, max=256, help="Upper bound on tokens decoded.")]


@app.command()
def demo(
    file: Annotated[Path | None, typer.Argument(help="A source file; one of Python's own if left out.")] = None,
    places: Annotated[int, typer.Option("--places", min=1, max=100, help="How many places to complete.")] = 5,
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    green_mode: GreenMode = DEFAULT_GREEN_MODE,
    policy: Policy = None,
) -> None:
    """Completes several places of a real source file and shows what each token took."""
    from lsp_server.cli import render as report

    path = file or report.demo_file()
    text = _read_source(path)
    with _engine(model, device, precision) as engine:
        report.demo(Console(), engine, path, text, n_places=places, green_mode=green_mode, policy=policy)


@app.command()
def complete(
    place: Annotated[str, typer.Argument(help="FILE:LINE:COL, counted from 1; the cursor stands before COL.")],
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    green_mode: GreenMode = DEFAULT_GREEN_MODE,
    policy: Policy = None,
    max_new_tokens: MaxNewTokens = 48,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Completes one place of a file."""
    from lsp_server.cli import render as report

    path, line, column = _parse_place(place)
    prefix, suffix = _split_at(_read_source(path), path, line, column)
    request = CompletionRequest(
        prefix=prefix,
        suffix=suffix,
        language_id=report.language_of(path),
        green_mode=green_mode,
        policy=policy,
        max_new_tokens=max_new_tokens,
    )
    with _engine(model, device, precision) as engine:
        completion = engine.complete(request)
    if json:
        sys.stdout.write(report.completion_json(completion) + "\n")
    else:
        report.show_completion(Console(), prefix, completion)


@app.command()
def serve() -> None:
    """Serves the Language Server Protocol on stdin and stdout; editors start it."""
    from engine.engine import load_engine
    from lsp_server.server import create_server
    from lsp_server.stdio import serve_stdio

    sys.exit(serve_stdio(create_server(lambda config, progress: load_engine(config, progress=progress))))


@app.command()
def doctor(model: Model = DEFAULT_MODEL, device: DeviceOption = "auto") -> None:
    """Says what was found: model, device, energy meters, and why others were refused."""
    from lsp_server.cli import render as report

    report.doctor(Console(), model, device)


@app.command()
def calibrate(model: Model = DEFAULT_MODEL, device: DeviceOption = "auto") -> None:
    """Fits the model of this device's energy to its counter: about a minute on a quiet machine."""
    from lsp_server.cli import render as report

    with _engine(model, device) as engine, _progress() as progress:
        report.show_cost_model(Console(), engine.calibrate(progress=progress))


@models_app.command("list")
def models_list() -> None:
    """Lists the models on this machine."""
    from engine.model.sources.store import list_models
    from lsp_server.cli import render as report

    report.show_models(Console(), list_models())


@models_app.command("pull")
def models_pull(name: Annotated[str, typer.Argument(help="The model to fetch.")] = DEFAULT_MODEL) -> None:
    """Fetches a model, or checks the one that is here."""
    from engine.model.sources.store import pull

    with _progress() as progress:
        files = pull(name, progress=progress)
    Console().print(f"{files.name} is ready in {files.path}", highlight=False, soft_wrap=True)


@models_app.command("add")
def models_add(
    name: Annotated[str, typer.Argument(help="A model of the hub, or a folder with one.")],
    device: DeviceOption = "auto",
) -> None:
    """Fetches a model and teaches its exits: minutes later it is an early-exit model, its own weights unchanged."""
    from engine.training.exits import TrainingPlan

    _train_exits(name, device, TrainingPlan())
    Console().print(f"Use it with --model {name}, or as the model in the settings.", highlight=False, soft_wrap=True)


@models_app.command("remove")
def models_remove(name: Annotated[str, typer.Argument(help="The model to delete.")]) -> None:
    """Deletes a model from this machine."""
    from engine.model.sources.store import remove

    freed_bytes = remove(name)
    Console().print(f"{name} is removed; {freed_bytes / 1e6:.0f} MB are free again.", highlight=False)


@train_app.command("exits")
def train_exits(
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    language: Annotated[
        Literal["python", "java"] | None, typer.Option("--language", help="One language only; both if left out.")
    ] = None,
    benchmark: Annotated[
        Path | None, typer.Option("--benchmark", help="HumanEval's file: its problems are kept out of the text.")
    ] = None,
    train_tokens: Annotated[int, typer.Option("--train-tokens", min=1000, help="How much to learn from.")] = 80_000,
    joint_tokens: Annotated[
        int, typer.Option("--joint-tokens", min=0, help="Then train exits and layers together on so much text.")
    ] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", help="The file to write; where the model finds it if left out.")
    ] = None,
) -> None:
    """Teaches the exits of a model to decode, its own weights unchanged: a few minutes; a killed run goes on."""
    from engine.training.exits import TrainingPlan

    plan = TrainingPlan(train_tokens=train_tokens, joint_tokens=joint_tokens)
    _train_exits(model, device, plan, languages=(language,) if language else None, benchmark=benchmark, output=output)


def _train_exits(
    model: str,
    device: DeviceChoice,
    plan: TrainingPlan,
    *,
    languages: tuple[Literal["python", "java"], ...] | None = None,
    benchmark: Path | None = None,
    output: Path | None = None,
) -> None:
    from engine.corpus.datasets import LANGUAGES, gather_corpus
    from engine.model.loading import load_model
    from engine.model.sources.store import resolve_model
    from engine.model.trained_exit_files import own_shortcuts_path
    from engine.training.agreement import quality_table
    from engine.training.exits import train_exits as train

    with _progress() as progress:
        files = resolve_model(model, progress=progress)
    with _progress(counting=True) as progress:
        corpus = gather_corpus(
            languages=languages or LANGUAGES, benchmarks=(benchmark,) if benchmark else (), progress=progress
        )
        loaded = load_model(
            files.name, files.path, EngineConfig(model=model, device=device), with_shortcuts=False, reference=True
        )
        path = output or own_shortcuts_path(files.name)
        trained = train(loaded, corpus, path, plan=plan, progress=progress)
    console = Console()
    console.print(quality_table(trained.before, trained.after), highlight=False, markup=False, soft_wrap=True)
    if plan.joint_tokens and not trained.jointly:
        console.print("The joint training made the last layer worse; the layers stay as they were.", soft_wrap=True)
    console.print(f"The trained exits are in {path}", highlight=False, soft_wrap=True)


def main() -> None:
    """Entry point of the command `green-code`."""
    try:
        app()
    except EngineError as error:
        _say_error(str(error))
        sys.exit(1)
    except Exception as error:  # a user is told of our fault in a sentence, not in a stack
        if os.environ.get(_TRACE_VARIABLE):
            raise
        what = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        _say_error(f"This is a fault of Green Code ({what}). Set {_TRACE_VARIABLE}=1 to see where, and report it.")
        sys.exit(1)


def _say_error(sentence: str) -> None:
    Console(stderr=True).print(Text(f"green-code: {sentence}", "red"), soft_wrap=True)


@contextlib.contextmanager
def _engine(model: str, device: DeviceChoice, precision: PrecisionChoice = "auto") -> Iterator[Engine]:
    from engine.engine import load_engine

    with _progress() as progress:
        engine = load_engine(EngineConfig(model=model, device=device, precision=precision), progress=progress)
    try:
        yield engine
    finally:
        engine.close()


@contextlib.contextmanager
def _progress(*, counting: bool = False) -> Iterator[ProgressSink]:
    """A progress bar on stderr, of bytes or of steps; without a terminal, the first line of each step."""
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    amount = MofNCompleteColumn() if counting else DownloadColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None, visible=False)
        said = ""

        def sink(message: str, done: int, total: int | None) -> None:
            nonlocal said
            if message != said and not console.is_terminal:
                console.print(message, highlight=False, soft_wrap=True)
            said = message
            bar.update(task, description=message, completed=done, total=total, visible=True)

        yield sink


def _parse_place(place: str) -> tuple[Path, int, int]:
    file, line, column = [*place.rsplit(":", 2), "", ""][:3]
    if not (file and line.isdecimal() and column.isdecimal() and int(line) and int(column)):
        raise ConfigError(f"'{place}' is no place in a file; write FILE:LINE:COL, counted from 1, such as app.py:12:5.")
    return Path(file), int(line), int(column)


def _read_source(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline=None) as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise ConfigError(f"The file {path} is not UTF-8 text; save it as UTF-8 first.") from error
    except OSError as error:
        raise ConfigError(f"The file {path} cannot be read: {error.strerror}.") from error


def _split_at(text: str, path: Path, line: int, column: int) -> tuple[str, str]:
    lines = text.split("\n")
    if line > len(lines):
        raise ConfigError(f"The file {path} has {len(lines)} lines; line {line} is outside it.")
    if column > len(lines[line - 1]) + 1:
        raise ConfigError(
            f"Line {line} of {path} has {len(lines[line - 1])} characters; column {column} is outside it."
        )
    offset = sum(len(before) + 1 for before in lines[: line - 1]) + column - 1
    return text[:offset], text[offset:]


bench_cli.register(app, lambda: _progress(counting=True))
evaluate_cli.register(app, lambda: _progress(counting=True))
train_policy_cli.register(train_app, lambda: _progress(counting=True))
train_acceptance_cli.register(train_app, lambda: _progress(counting=True))
