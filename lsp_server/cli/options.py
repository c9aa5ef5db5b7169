"""The options that commands share, and what stands behind them: an engine, and a bar that shows progress.

It knows no command.
"""

from __future__ import annotations

import contextlib
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.filesize import decimal

from engine.completion.languages import language_of, with_kindred
from engine.config import DEFAULT_MODEL, DeviceChoice, EngineConfig, PrecisionChoice
from engine.errors import ConfigError
from engine.types import GREEN_MODE_MAX, ProjectDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typer.models import OptionInfo

    from engine.engine import Engine
    from engine.remote.remote_engine import RemoteEngine
    from engine.types import ProgressSink

_FEWEST_BYTES = 10_000  # of a file that is fetched or copied; a smaller total counts steps

Model = Annotated[
    str, typer.Option("--model", help=f"{DEFAULT_MODEL}, a Hugging Face id, or a folder with a model.", metavar="ID")
]
DeviceOption = Annotated[DeviceChoice, typer.Option("--device", help="Where the model runs.")]
PrecisionOption = Annotated[PrecisionChoice, typer.Option("--precision", help="Precision of the weights on a CPU.")]
GreenMode = Annotated[
    int,
    typer.Option("--green-mode", min=0, max=GREEN_MODE_MAX, help="0 lossless ... 100 greenest.", metavar="N"),
]
Policy = Annotated[
    str | None,
    typer.Option(
        "--policy",
        help="full-depth, fixed:LAYER, confidence:P, learned or project; what the green mode means if left out.",
        metavar="NAME",
    ),
]
Workspace = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        help="The folder that is completed from as well; the file's git repository, else its folder, if left out.",
        metavar="DIR",
    ),
]
ProjectText = Annotated[
    bool, typer.Option("--project/--no-project", help="Completes from the project as well, or from the model alone.")
]
MaxNewTokens = Annotated[int, typer.Option("--max-new-tokens", min=1, max=256, help="Upper bound on tokens decoded.")]


def moment(text: str) -> datetime:
    """A day, or a day and a time, as a person writes it.

    Raises:
        ConfigError: It is neither.
    """
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(
            f"'{text}' is no day; write it as year, month and day, such as 2026-11-30, or with a time, such as "
            "2026-11-30T14:00."
        ) from None


def file_to_write(path: Path | None) -> Path | None:
    """A file that an option names, before the work is done that it is for.

    Raises:
        ConfigError: It cannot be written.
    """
    if path is not None and path.is_dir():
        raise ConfigError(f"{path} is a folder; name a file in it.")
    return None if path is None else _within_a_folder(path)


def folder_to_write(path: Path) -> Path:
    """Likewise for a folder, which need not be there yet."""
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{path} is a file; name a folder.")
    return _within_a_folder(path)


def output_file(told: str) -> OptionInfo:
    """The option --output of a command that writes one file."""
    option: OptionInfo = typer.Option("--output", help=told, callback=file_to_write)
    return option


def output_folder(told: str) -> OptionInfo:
    """The option --output of a command that fills a folder."""
    option: OptionInfo = typer.Option("--output", help=told, callback=folder_to_write)
    return option


def _within_a_folder(path: Path) -> Path:
    above = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not (above.is_dir() or above == path) or not os.access(above, os.W_OK):
        raise ConfigError(f"{path} cannot be written: {above} is no folder that you may write into.")
    return path


def write_page(path: Path, page: str) -> None:
    """Writes a page where an option says.

    Raises:
        ConfigError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"The page {path} cannot be written: {error.strerror}.") from None


def listed(text: str) -> tuple[str, ...]:
    """The names in an option that takes several, separated by commas."""
    return tuple(filter(None, (part.strip() for part in text.split(","))))


def slider_position(text: str) -> int:
    """A position of the slider among several that an option lists.

    Raises:
        ConfigError: If it is none.
    """
    if not text.isdecimal() or int(text) > GREEN_MODE_MAX:
        raise ConfigError(f"The green mode '{text}' should be a number from 0 to {GREEN_MODE_MAX}.")
    return int(text)


@contextlib.contextmanager
def open_engine(
    model: str, device: DeviceChoice, precision: PrecisionChoice = "auto", *, say: Callable[[str], str] = str
) -> Iterator[Engine]:
    """Loads an engine under a progress bar, in the language of `say`, and closes it at the end.

    Raises:
        EngineError: If it cannot be loaded.
    """
    from engine.engine import load_engine

    with progress_bar(say=say) as progress:
        engine = load_engine(EngineConfig(model=model, device=device, precision=precision), progress=progress)
    try:
        yield engine
    finally:
        engine.close()


@contextlib.contextmanager
def open_remote(url: str, model: str) -> Iterator[RemoteEngine]:
    """Connects to a completion server elsewhere, and closes the connection at the end.

    Raises:
        EngineError: If it cannot be had or used.
    """
    from engine.remote.remote_engine import load_remote_engine
    from lsp_server.engines import take_token

    with progress_bar() as progress:
        engine = load_remote_engine(
            EngineConfig(remote_url=url, remote_model=model), token=take_token(), progress=progress
        )
    try:
        yield engine
    finally:
        engine.close()


def document_in_project(engine: Engine | RemoteEngine, file: Path, workspace: Path | None) -> ProjectDocument:
    """Reads the project of a file, as an editor that has opened its folder would.

    Args:
        engine: Its text of that project is filled.
        file: The file to complete.
        workspace: The project's folder; None for the file's git repository, else its folder.

    Raises:
        ConfigError: If the folder is none, or the file does not lie in it.
    """
    from lsp_server.context.project_reader import read_project

    path, folder = file.absolute(), workspace_of(file, workspace)
    read_project(engine.project(str(folder)), folder, with_kindred({language_of(path)}), near=[path])
    return ProjectDocument(project=str(folder), file=str(path))


def workspace_of(file: Path, workspace: Path | None) -> Path:
    """The folder that an editor would have opened.

    Args:
        file: Lies in it.
        workspace: The folder; None for the file's git repository, else its folder.

    Raises:
        ConfigError: If the folder is none, or the file does not lie in it.
    """
    from lsp_server.context.git_ignore import repository_root

    path = file.absolute()
    folder = (workspace or repository_root(path) or path.parent).absolute()
    if not folder.is_dir():
        raise ConfigError(f"The workspace {folder} is no folder.")
    if not path.is_relative_to(folder):
        raise ConfigError(f"The file {path} does not lie in the workspace {folder}.")
    return folder


@contextlib.contextmanager
def progress_bar(*, counting: bool = False, say: Callable[[str], str] = str) -> Iterator[ProgressSink]:
    """A progress bar on stderr; without a terminal, the first line of each step.

    Args:
        counting: True where steps are counted; False where bytes are, beside a few steps such as layers.
        say: Says each step in the reader's language.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    amount = TextColumn("{task.fields[amount]}")
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None, visible=False, amount="")
        said = ""

        def sink(message: str, done: int, total: int | None) -> None:
            nonlocal said
            message = say(message)
            if message != said and not console.is_terminal:
                console.print(message, highlight=False, soft_wrap=True)
            said = message
            amount = "" if total is None else _amount(done, total, counting=counting or total < _FEWEST_BYTES)
            bar.update(task, description=message, completed=done, total=total, visible=True, amount=amount)

        yield sink


def _amount(done: int, total: int, *, counting: bool) -> str:
    return f"{done}/{total}" if counting else f"{decimal(done)} of {decimal(total)}"
