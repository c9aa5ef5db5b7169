"""The command `green-code demo`: somebody types a stretch of a real file, and takes what the real server suggests."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

import engine as engine_package
from engine.config import DEFAULT_MODEL
from engine.errors import ConfigError
from engine.types import DEFAULT_GREEN_MODE
from lsp_server.cli import render
from lsp_server.cli.options import (
    DeviceOption,
    GreenMode,
    Model,
    PrecisionOption,
    ProjectText,
    Workspace,
    open_engine,
    workspace_of,
)
from lsp_server.replay.replay import Stretch, replay
from lsp_server.replay.server_arms import ACCEPTED, THIS_BUILD, green_code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CONTEXT_LINES = 3
_GHOST_LINES = 3
_FRAMES_PER_S = 12
_LONGEST = 2  # times as many characters as are wanted

app = typer.Typer()


@app.command()
def demo(
    file: Annotated[Path | None, typer.Argument(help="A source file; Green Code's own decoder if left out.")] = None,
    chars: Annotated[int, typer.Option("--chars", min=40, help="How much of it is typed, up to a line's end.")] = 300,
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    green_mode: GreenMode = DEFAULT_GREEN_MODE,
    workspace: Workspace = None,
    project: ProjectText = True,
    seed: Annotated[int, typer.Option("--seed", help="Makes the person who types.")] = 0,
    time_scale: Annotated[
        float, typer.Option("--time-scale", min=0.01, help="Multiplies the pauses of the person, not the server's.")
    ] = 1.0,
) -> None:
    """Types a stretch of a real file into the real server, at a person's pace, and shows what came from suggestions."""
    console = Console()
    with TemporaryDirectory(prefix="green-code-demo-") as folder:
        if file is None:
            file, workspace = _own_source(Path(folder))
        stretch = _stretch(file, workspace, chars)
        settings = {
            "model": model,
            "device": device,
            "precision": precision,
            "greenMode": green_mode,
            "projectText": project,
        }
        with open_engine(model, device, precision) as engine:  # fetches the model, and says what is wrong
            render.show_engine(console, engine, green_mode)
        asyncio.run(_type(console, stretch, settings, seed, time_scale))


async def _type(
    console: Console, stretch: Stretch, settings: Mapping[str, object], seed: int, time_scale: float
) -> None:
    page = _Page(console, stretch)
    command = (*THIS_BUILD, "--paced")  # the joules that the editor would show
    async with green_code(dict(settings), command, [stretch.folder] if stretch.folder else []) as server:
        with Live(page, console=console, refresh_per_second=_FRAMES_PER_S, transient=True):
            run = await replay(
                "demo",
                server,
                stretch,
                seed=seed,
                accepted=ACCEPTED["words"],
                time_scale=time_scale,
                onlooker=page,
            )
        page.end()
        session, status = server.session, server.status
    assert session is not None
    render.show_typed(console, run, session)
    if not run.shown and status is not None and status.message:
        console.print(status.message, highlight=False, markup=False, soft_wrap=True)


def _own_source(folder: Path) -> tuple[Path, Path]:
    """The decoder in a copy of this package's source, and the copy: git may ignore where it is installed."""
    package = Path(engine_package.__file__).parent
    copy = folder / package.name
    shutil.copytree(
        package, copy, ignore=lambda _, names: [name for name in names if "." in name and not name.endswith(".py")]
    )
    return copy / "decoding" / "decoder.py", copy


def _stretch(file: Path, workspace: Path | None, chars: int) -> Stretch:
    from lsp_server.replay.stretches import cut, whole_file  # with the corpus, which no other command needs at once

    stretch = cut(whole_file(file, workspace_of(file, workspace)), chars)
    if stretch is None:
        raise ConfigError(
            f"The file {file} has too little text, or too few lines, to type {chars} characters in the middle of it."
        )
    most = _LONGEST * chars  # of a long line
    return replace(stretch, text=stretch.text[:most], after=stretch.text[most:] + stretch.after)


class _Page:
    """Shows the lines that are written, and behind the cursor the ghost text.

    Args:
        console: Where finished lines are printed; the one that is being written is rendered.
        stretch: What will be typed.
    """

    def __init__(self, console: Console, stretch: Stretch) -> None:
        self._console, self._stretch = console, stretch
        self._marks = ("«", "»") if console.color_system is None else ("", "")
        self._line: tuple[tuple[str, bool], ...] = ()
        self._in_sight: Callable[[], str] = str

    def begins(self, in_sight: Callable[[], str]) -> None:
        """The person begins."""
        self._in_sight = in_sight
        stretch = self._stretch
        first = stretch.before.count("\n") + 1
        last = first + stretch.text.count("\n")
        self._console.rule(Text(f"{Path(stretch.file).name}, lines {first} to {last}"), align="left", style="dim")
        context = Text("\n".join(stretch.before.splitlines()[-_CONTEXT_LINES:]), "dim")
        self._console.print(context, no_wrap=True, overflow="ellipsis")

    def wrote(self, text: str, *, kept: bool) -> None:
        """So much more is there."""
        *whole, begun = text.split("\n")
        for line in whole:
            self._print((*self._line, (line, kept)))
            self._line = ()
        self._line = (*self._line, (begun, kept))

    def end(self) -> None:
        """The person is done, behind the last line."""
        self._print(self._line)

    def __rich__(self) -> Text:
        """The line that is being written. Asked from another thread."""
        text = self._text(self._line)
        ghost = self._in_sight() if self._console.is_terminal else ""
        text.append("\n".join(ghost.split("\n")[:_GHOST_LINES]), "dim italic")
        return text

    def _print(self, line: tuple[tuple[str, bool], ...]) -> None:
        self._console.print(self._text(line), soft_wrap=True)  # a copy of it is the file's text again

    def _text(self, line: tuple[tuple[str, bool], ...]) -> Text:
        text = Text()
        for part, kept in line:
            before, after = self._marks if kept and part else ("", "")
            text.append(f"{before}{part}{after}", "bold green" if kept else "")
        return text
