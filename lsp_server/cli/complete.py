"""The command `green-code complete`: one place of a source file."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from engine.completion.languages import language_of
from engine.config import DEFAULT_MODEL
from engine.errors import ConfigError
from engine.files import read_source
from engine.types import DEFAULT_GREEN_MODE, CompletionRequest
from lsp_server.cli import render
from lsp_server.cli.options import (
    DeviceOption,
    GreenMode,
    MaxNewTokens,
    Model,
    Policy,
    PrecisionOption,
    ProjectText,
    Workspace,
    document_in_project,
    open_engine,
    open_remote,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PAUSE_AFTER = re.compile(r"= |\(|\b(?:return|if|in) ")  # where people wait for a suggestion
_HEAD_SHARE = 10  # the first tenth of a file gives the model nothing to go on

app = typer.Typer()


@app.command()
def complete(
    place: Annotated[str, typer.Argument(help="FILE:LINE:COL, counted from 1; the cursor stands before COL.")],
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    green_mode: GreenMode = DEFAULT_GREEN_MODE,
    policy: Policy = None,
    max_new_tokens: MaxNewTokens = 48,
    workspace: Workspace = None,
    project: ProjectText = True,
    remote: Annotated[
        str,
        typer.Option(
            "--remote",
            help="Let a completion server elsewhere do it; its token is read from GREEN_CODE_REMOTE_TOKEN.",
            metavar="URL",
        ),
    ] = "",
    remote_model: Annotated[
        str,
        typer.Option("--remote-model", help="Which of its models; the only one if left out.", metavar="NAME"),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Completes one place of a file, with what its project says."""
    if remote_model and not remote:
        raise ConfigError("--remote-model names a model of the server that --remote names: give both.")
    path, line, column = _parse_place(place)
    prefix, suffix = _split_at(read_source(path), path, line, column)
    request = CompletionRequest(
        prefix=prefix,
        suffix=suffix,
        language_id=language_of(path),
        green_mode=green_mode,
        policy=policy,
        max_new_tokens=max_new_tokens,
    )
    opened = open_remote(remote, remote_model) if remote else open_engine(model, device, precision)
    with opened as engine:
        if project:
            request = replace(request, in_project=document_in_project(engine, path, workspace))
        completion = engine.complete(request)
    if json:
        sys.stdout.write(render.completion_json(completion) + "\n")
    else:
        render.show_completion(Console(), prefix, completion)


def requests_of(texts: Sequence[tuple[Path, str]], n_places: int, *, green_mode: int) -> list[CompletionRequest]:
    """What the engine is asked at places of several files, spread over them.

    Raises:
        ConfigError: None of the files has such a place.
    """
    found = [
        [
            CompletionRequest(
                prefix=prefix,
                suffix=rest + suffix,
                language_id=language_of(path),
                path=path.name,
                green_mode=green_mode,
            )
            for prefix, rest, suffix in _pauses(text, -(-n_places // len(texts)))
        ]
        for path, text in texts
    ]
    # The files take turns, so that the first places are of all of them.
    requests = [request for turn in zip_longest(*found) for request in turn if request is not None][:n_places]
    if not requests:
        raise ConfigError("There is no place to complete in these files.")
    return requests


def _pauses(text: str, n_places: int) -> Iterator[tuple[str, str, str]]:
    """Places spread evenly over a file, each the first in its line where a person would pause.

    Yields:
        The text before the place, the rest of its line, and the text behind that.
    """
    cuts = []
    start = 0
    for line in text.split("\n"):
        found = _PAUSE_AFTER.search(line)
        if found is not None and line[found.end() :].strip():
            cuts.append((start + found.end(), start + len(line)))
        start += len(line) + 1
    later = cuts[len(cuts) // _HEAD_SHARE :]
    for cursor, line_end in later[:: max(1, len(later) // n_places)][:n_places]:
        yield text[:cursor], text[cursor:line_end], text[line_end:]


def _parse_place(place: str) -> tuple[Path, int, int]:
    file, line, column = [*place.rsplit(":", 2), "", ""][:3]
    if not (file and line.isdecimal() and column.isdecimal() and int(line) and int(column)):
        raise ConfigError(f"'{place}' is no place in a file; write FILE:LINE:COL, counted from 1, such as app.py:12:5.")
    return Path(file), int(line), int(column)


def _split_at(text: str, path: Path, line: int, column: int) -> tuple[str, str]:
    lines = text.split("\n")
    if line > len(lines):
        raise ConfigError(f"The file {path} has {render.counted(len(lines), 'line')}; line {line} is outside it.")
    if column > len(lines[line - 1]) + 1:
        raise ConfigError(
            f"Line {line} of {path} has {render.counted(len(lines[line - 1]), 'character')}; "
            f"column {column} is outside it."
        )
    offset = sum(len(before) + 1 for before in lines[: line - 1]) + column - 1
    return text[:offset], text[offset:]
