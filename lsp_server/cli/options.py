"""The options that commands share, and what stands behind them: an engine, and a bar that shows progress.

It knows no command.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from engine.config import DEFAULT_MODEL, DeviceChoice, EngineConfig, PrecisionChoice
from engine.errors import ConfigError
from engine.types import GREEN_MODE_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.engine import Engine
    from engine.types import ProgressSink

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
        help="full-depth, fixed:LAYER, confidence:P or learned; what the green mode means if left out.",
        metavar="NAME",
    ),
]
MaxNewTokens = Annotated[int, typer.Option("--max-new-tokens", min=1, max=256, help="Upper bound on tokens decoded.")]


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
def open_engine(model: str, device: DeviceChoice, precision: PrecisionChoice = "auto") -> Iterator[Engine]:
    """Loads an engine under a progress bar, and closes it at the end.

    Raises:
        EngineError: If it cannot be loaded.
    """
    from engine.engine import load_engine

    with progress_bar() as progress:
        engine = load_engine(EngineConfig(model=model, device=device, precision=precision), progress=progress)
    try:
        yield engine
    finally:
        engine.close()


@contextlib.contextmanager
def progress_bar(*, counting: bool = False) -> Iterator[ProgressSink]:
    """A progress bar on stderr; without a terminal, the first line of each step.

    Args:
        counting: True where steps are counted, False where bytes are.
    """
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
