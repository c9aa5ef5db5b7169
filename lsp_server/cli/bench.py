"""The command `green-code bench replay`: real files typed into completion servers.

`lsp_server.cli.app` registers it.
"""

from __future__ import annotations

import asyncio
import itertools
import platform
import random
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from engine.config import DEFAULT_MODEL, DeviceChoice
from engine.errors import ConfigError
from engine.types import DEFAULT_GREEN_MODE, GREEN_MODE_MAX
from lsp_server.cli import bench_decode as bench_decode_cli
from lsp_server.replay.auto_close import PAIRS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from engine.types import ProgressSink
    from lsp_server.replay.replay import ReplayRun, Stretch
    from lsp_server.replay.servers import ServerUnderTest

    Progress = Callable[[], AbstractContextManager[ProgressSink]]

Accept = Literal["words", "whole"]

# What an arm changes of the settings. "first" is the server as it first was, full depth, no text reused, asked at every
# key, but on the runner and in the precision of now. "first-fp32" runs on torch in fp32 as well, as the very first did.
_FIRST: dict[str, object] = {"policy": "full-depth", "reuse": False, "debounceMs": 0, "skipUnlikely": False}
ARMS: dict[str, dict[str, object]] = {
    "now": {},
    "first": _FIRST,
    "first-fp32": _FIRST | {"precision": "fp32"},
    "full-depth": {"policy": "full-depth"},
    "no-reuse": {"reuse": False},
    "no-wait": {"debounceMs": 0},
    "no-skip": {"skipUnlikely": False},
    "no-gate": {"debounceMs": 0, "skipUnlikely": False},
    "imports": {"imports": True},
    "file-path": {"filePath": True},
}
_PEER = "peer"
_MIN_BEFORE_CHARS = 600
_BEFORE_SHARE = 0.3  # of a file stands there already when typing begins, if it is long enough


def register(app: typer.Typer, progress: Progress) -> None:
    """Adds the group of commands.

    Args:
        app: The command line.
        progress: Opens a bar that counts steps.
    """
    bench_app = typer.Typer(help="Measures the server in use.", no_args_is_help=True)
    app.add_typer(bench_app, name="bench")

    bench_decode_cli.register(bench_app, progress)

    @bench_app.callback()
    def bench() -> None:
        """Measures the server in use."""

    @bench_app.command()
    def replay(
        files: Annotated[list[Path] | None, typer.Argument(help="Files to type; held-out ones if left out.")] = None,
        arms: Annotated[
            str, typer.Option("--arms", help=f"Comma-separated, the first is compared with: {', '.join(ARMS)}.")
        ] = "first,now",
        peer: Annotated[
            str, typer.Option("--peer", help="A running llama.cpp server to measure too.", metavar="URL")
        ] = "",
        peer_endpoint: Annotated[
            Literal["infill", "completion"], typer.Option("--peer-endpoint", help="What its model can do.")
        ] = "infill",
        model: Annotated[str, typer.Option("--model", help="Of our server.", metavar="ID")] = DEFAULT_MODEL,
        device: Annotated[DeviceChoice, typer.Option("--device", help="Where it runs.")] = "auto",
        green_mode: Annotated[
            int, typer.Option("--green-mode", min=0, max=GREEN_MODE_MAX, help="0 lossless ... 100 greenest.")
        ] = DEFAULT_GREEN_MODE,
        n_files: Annotated[int, typer.Option("--n-files", min=1, help="How many held-out files.")] = 6,
        chars: Annotated[int, typer.Option("--chars", min=40, help="How much of each file is typed.")] = 300,
        seeds: Annotated[
            int, typer.Option("--seeds", min=1, help="Persons who type each file; intervals count them.")
        ] = 1,
        accept: Annotated[
            Accept, typer.Option("--accept", help="What is taken: the words that fit, or only what fits whole.")
        ] = "words",
        time_scale: Annotated[
            float, typer.Option("--time-scale", min=0.01, help="Multiplies the pauses of the person, not the server.")
        ] = 1.0,
        auto_close: Annotated[
            bool,
            typer.Option("--auto-close/--no-auto-close", help="Whether the editor closes brackets and quotes itself."),
        ] = True,
        output: Annotated[Path, typer.Option("--output", help="The folder for numbers and plot.")] = Path("replay"),
    ) -> None:
        """Types real files into the server, key by key, and tells what each kept character has cost.

        Arms are our server with settings of its own:

        now: as it ships; first: as it first was, full depth, asked at every key, nothing reused

        first-fp32: first, on torch in fp32

        full-depth, no-reuse, no-wait, no-skip: now without exits and stops, text known already, the pause before
        asking, places better not asked at; no-gate: without the last two

        imports, file-path: now, with that in the prompt too
        """
        wanted = {
            name: _arm(name) | {"greenMode": green_mode, "model": model, "device": device} for name in _names(arms)
        }
        runs: list[ReplayRun] = []
        try:
            with progress() as sink:
                stretches = [_stretch(path) for path in files] if files else _held_out(n_files, sink)
                cut = [part for part in (_cut(stretch, chars) for stretch in stretches) if part is not None]
                if not cut:
                    raise ConfigError(f"None of the files is long enough to type {chars} characters of it.")
                work = _Work(
                    stretches=cut,
                    seeds=seeds,
                    accept=accept,
                    pairs=PAIRS if auto_close else {},
                    time_scale=time_scale,
                    sink=sink,
                    runs=runs,
                )
                asyncio.run(work.run(wanted, peer, peer_endpoint))
        finally:  # what was typed before a server failed, or somebody lost patience, is not lost
            if runs:
                facts = {
                    "accept": accept,
                    "auto_close": auto_close,
                    "time_scale": time_scale,
                    "chars": chars,
                    "settings": wanted,
                }
                _show(sorted(runs, key=lambda run: [*wanted, _PEER].index(run.arm)), output, facts)


def _show(runs: Sequence[ReplayRun], output: Path, facts: Mapping[str, object]) -> None:
    from lsp_server.replay.output import table, write
    from lsp_server.replay.summary import summarise

    summaries = summarise(runs)
    console = Console()
    console.print(table(summaries))
    n_files, n_seeds = len({run.file for run in runs}), len({run.seed for run in runs})
    write(output, summaries, runs, {**facts, "machine": platform.processor() or platform.machine()})
    console.print(
        f"{n_files} files, {n_seeds} persons, pauses × {facts['time_scale']:g}; in brackets 95 % intervals over both; "
        f"all numbers and the plot are in {output}",
        highlight=False,
        soft_wrap=True,
    )


class _Work:
    """All arms over all stretches and persons; `runs` grows by one of each arm at a time."""

    def __init__(
        self,
        *,
        stretches: Sequence[Stretch],
        seeds: int,
        accept: Accept,
        pairs: Mapping[str, str],
        time_scale: float,
        sink: ProgressSink,
        runs: list[ReplayRun],
    ) -> None:
        self._stretches, self._seeds, self._time_scale, self._sink = stretches, seeds, time_scale, sink
        self._accepted, self._pairs = _ACCEPTED[accept], pairs
        self._runs = runs

    async def run(
        self, arms: Mapping[str, Mapping[str, object]], peer: str, endpoint: Literal["infill", "completion"]
    ) -> None:
        """All servers stand ready while each stretch is typed into one after another, in an order that rotates."""
        from lsp_server.replay.http_peer import HttpPeer, PeerClient

        async with AsyncExitStack() as stack:
            servers: dict[str, ServerUnderTest] = {
                name: await stack.enter_async_context(_green_code(settings)) for name, settings in arms.items()
            }
            if peer:
                client = PeerClient(endpoint="/infill" if endpoint == "infill" else "/completion")
                servers[_PEER] = HttpPeer(peer, client)
            order = list(servers)
            for turn, (stretch, seed) in enumerate(itertools.product(self._stretches, range(self._seeds))):
                first = turn % len(order)
                self._runs += [
                    await self._replay(name, servers[name], stretch, seed, turn)
                    for name in order[first:] + order[:first]
                ]

    async def _replay(self, arm: str, server: ServerUnderTest, stretch: Stretch, seed: int, turn: int) -> ReplayRun:
        from lsp_server.replay.replay import replay

        self._sink(f"Typing for {arm}", turn, len(self._stretches) * self._seeds)
        return await replay(
            arm,
            server,
            stretch,
            seed=seed,
            accepted=self._accepted,
            pairs=self._pairs,
            time_scale=self._time_scale,
        )


@asynccontextmanager
async def _green_code(settings: Mapping[str, object]) -> AsyncIterator[ServerUnderTest]:
    from lsp_server.replay.green_code import GreenCodeUnderTest

    with tempfile.TemporaryDirectory(prefix="green-code-bench-") as folder:
        server = GreenCodeUnderTest(settings, Path(folder))
        try:
            await server.start()
            yield server
        finally:
            await server.stop()


def _words(suggestion: str, wanted: str) -> int:
    from engine.completion.kept import kept_characters

    return kept_characters(suggestion, wanted)


def _whole(suggestion: str, wanted: str) -> int:
    return len(suggestion) if wanted.startswith(suggestion) else 0


_ACCEPTED: dict[Accept, Callable[[str, str], int]] = {"words": _words, "whole": _whole}


def _names(arms: str) -> list[str]:
    return [name for name in (part.strip() for part in arms.split(",")) if name]


def _arm(name: str) -> dict[str, object]:
    if name not in ARMS:
        raise ConfigError(f"There is no arm '{name}'; choose from {', '.join(ARMS)}.")
    return ARMS[name]


def _stretch(path: Path) -> Stretch:
    from lsp_server.cli.render import language_of
    from lsp_server.replay.replay import Stretch

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The file {path} cannot be read as text: {error}.") from error
    return Stretch(file=str(path), language_id=language_of(path), before="", text=text, after="")


def _held_out(n_files: int, sink: ProgressSink) -> list[Stretch]:
    """Files of packages that no training has seen, languages and packages taking turns."""
    from engine.corpus.datasets import gather_corpus
    from lsp_server.replay.replay import Stretch

    files = [file for file in gather_corpus(progress=sink).files["test"] if len(file.text) > 2 * _MIN_BEFORE_CHARS]
    random.Random(0).shuffle(files)  # noqa: S311 - nothing secret
    turns: dict[str, int] = {}
    order = []
    for file in files:
        turns[file.language] = turns.get(file.language, 0) + 1
        order.append((turns[file.language], file.language, file))
    return [
        Stretch(file=f"{file.package}/{file.path}", language_id=language, before="", text=file.text, after="")
        for _, language, file in sorted(order, key=lambda turn: turn[:2])[:n_files]
    ]


def _cut(whole: Stretch, chars: int) -> Stretch | None:
    """Whole lines of a file, about as many characters as wanted, with the file around them; None of a short file."""
    from lsp_server.replay.replay import Stretch

    text = whole.text.replace("\r\n", "\n")
    start = text.find("\n", max(_MIN_BEFORE_CHARS, int(_BEFORE_SHARE * len(text)))) + 1
    end = text.find("\n", start + chars)
    if start == 0 or end < 0:
        return None
    return Stretch(
        file=whole.file, language_id=whole.language_id, before=text[:start], text=text[start:end], after=text[end:]
    )
