"""The command line `green-code`: which commands there are, and errors as one sentence on stderr.

Each command is in a module beside this one. Exit status: 0 done, 1 it could not be done (one sentence says why), 2 the
command was not understood.
"""

from __future__ import annotations

import errno
import os
import platform
import sys
from io import TextIOWrapper
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from engine.config import VERSION
from engine.errors import EngineError
from engine.model.torch_missing import needs_torch
from engine.sentences import Sentence
from lsp_server.cli import bench, complete, demo, doctor, energy, evaluate, models, reproduce, train

_TRACE_VARIABLE = "GREEN_CODE_TRACE"  # set to anything: faults of ours end in their stack
_OF_THE_MACHINE = {errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, getattr(errno, "EDQUOT", 0)}
"""Faults that are none of ours, and that whoever is told of them can mend."""

app = typer.Typer(
    name="green-code",
    help="Inline code completion from an early-exit language model on your own machine, with its energy made visible.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(demo.app)
app.add_typer(complete.app)
app.add_typer(doctor.app)
app.add_typer(evaluate.app)
app.add_typer(models.app, name="models")
app.add_typer(reproduce.app, name="reproduce")
app.add_typer(train.app, name="train")
app.add_typer(bench.app, name="bench")
app.add_typer(energy.app, name="energy")


def _say_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"Green Code {VERSION}, Python {platform.python_version()}\n")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Holds what stands before any command."""


@app.command()
def serve(
    in_process: Annotated[
        bool,
        typer.Option("--in-process", help="Load the model here, whatever the setting greenCode.sharedEngine says."),
    ] = False,
) -> None:
    """Serves the Language Server Protocol on stdin and stdout; editors start it."""
    from lsp_server import serving

    sys.exit(serving.serve(in_process=in_process))


def main() -> None:
    """Runs a command; ends the process where it fails."""
    for stream in (sys.stdout, sys.stderr):  # what a terminal or a file has no sign for is no reason to fail
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        with needs_torch(Sentence("For this command")):
            app()
    except Exception as error:
        tell(error)
        sys.exit(1)


def tell(error: Exception) -> None:
    """Says on stderr in a sentence what ended a command: our own fault, too, unless its stack is asked for."""
    if isinstance(error, EngineError):
        sentence = str(error)
    elif os.environ.get(_TRACE_VARIABLE):
        raise error
    elif isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        where = f"{error.filename} cannot be used" if error.filename else "The output cannot be written"
        sentence = f"{where}: {error.strerror}."
    else:
        what = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        sentence = f"This is a fault of Green Code ({what}). Set {_TRACE_VARIABLE}=1 to see where, and report it."
    Console(stderr=True).print(Text(f"green-code: {sentence}", "red"), soft_wrap=True)
