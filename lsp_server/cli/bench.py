"""The commands `green-code bench ...`: real files typed into completion servers, and how fast this machine decodes."""

from __future__ import annotations

import asyncio
import itertools
import json
import platform
import shlex
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from engine.config import DEFAULT_MODEL, EngineConfig
from engine.errors import ConfigError
from engine.types import DEFAULT_GREEN_MODE
from lsp_server.cli.gpu import MINUTES
from lsp_server.cli.options import (
    DeviceOption,
    GreenMode,
    Model,
    PrecisionOption,
    listed,
    open_engine,
    output_file,
    output_folder,
    progress_bar,
    slider_position,
)
from lsp_server.replay.auto_close import PAIRS
from lsp_server.replay.server_arms import (
    ARMS,
    PEER,
    Accept,
    Peer,
    PeerEndpoint,
    Typing,
    build_named,
    replay_in_turns,
    settings_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lsp_server.replay.replay import ReplayRun
    from lsp_server.replay.windows import Sharing

app = typer.Typer(help="Measures quality, speed, memory and energy on this machine.", no_args_is_help=True)


@app.command()
def replay(
    files: Annotated[list[Path] | None, typer.Argument(help="Files to type; held-out ones if left out.")] = None,
    arms: Annotated[
        str, typer.Option("--arms", help=f"Comma-separated, the first is compared with: {', '.join(ARMS)}.")
    ] = "first,now",
    builds: Annotated[
        list[str] | None,
        typer.Option("--build", help="Another build to measure first: what starts its server.", metavar="NAME=COMMAND"),
    ] = None,
    peer: Annotated[str, typer.Option("--peer", help="A running llama.cpp server to measure too.", metavar="URL")] = "",
    peer_endpoint: Annotated[PeerEndpoint, typer.Option("--peer-endpoint", help="What its model can do.")] = "infill",
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    green_mode: GreenMode = DEFAULT_GREEN_MODE,
    n_files: Annotated[int, typer.Option("--n-files", min=1, help="How many held-out files.")] = 6,
    chars: Annotated[int, typer.Option("--chars", min=40, help="How much of each file is typed.")] = 300,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Persons who type each file; intervals count them.")] = 1,
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
    output: Annotated[Path, output_folder("The folder for numbers and plot.")] = Path("replay"),
) -> None:
    """Types real files into the server, key by key, and tells what each kept character has cost.

    Arms are our server with settings of its own:

    now: as it ships; first: full depth, the model alone, asked at every key, nothing reused

    first-fp32: first, on torch in fp32

    full-depth, no-project, no-reuse, no-wait, no-skip: now without exits and stops, what the project says, text known
    already, the pause before asking, places better not asked at; no-gate: without the last two

    imports, file-path: now, with that in the prompt too

    Where joules are modelled, all arms' are by the shipped prices, whatever the pace of this CPU.
    """
    from lsp_server.replay.stretches import stretches_of

    others = dict(build_named(text) for text in builds or ())
    common = {"greenMode": green_mode, "model": model, "device": device}
    wanted = dict.fromkeys(others, common) | {name: settings_of(name) | common for name in listed(arms)}
    if not wanted:
        raise ConfigError("There is nothing to replay: name an arm, such as --arms now.")
    typing = Typing(seeds=seeds, accept=accept, pairs=PAIRS if auto_close else {}, time_scale=time_scale)
    runs: list[ReplayRun] = []
    try:
        with progress_bar(counting=True) as progress, TemporaryDirectory(prefix="green-code-bench-") as unpacked:
            folder = Path(unpacked)
            stretches = stretches_of(files, n_files=n_files, chars=chars, folder=folder, progress=progress)

            async def type_all() -> None:
                beside = Peer(url=peer, endpoint=peer_endpoint) if peer else None
                async for turn in replay_in_turns(wanted, others, beside, stretches, typing, progress=progress):
                    runs.extend(turn)

            asyncio.run(type_all())
    finally:  # what was typed before a server failed, or somebody lost patience, is not lost
        if runs:
            facts = {
                "accept": accept,
                "auto_close": auto_close,
                "time_scale": time_scale,
                "chars": chars,
                "settings": wanted,
                "builds": others,
            }
            _show_replay(sorted(runs, key=lambda run: [*wanted, PEER].index(run.arm)), output, facts)


@app.command()
def decode(
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "cpu",
    precision: PrecisionOption = "auto",
    gguf: Annotated[
        Path | None,
        typer.Option("--gguf", help="The same weights for llama.cpp; fetched for the default model.", metavar="FILE"),
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often everything takes its turn.")] = 5,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")] = None,
    note: Annotated[str, typer.Option("--note", help="Added to the JSON line.", metavar="TEXT")] = "",
    output: Annotated[Path | None, output_file("A file to add the JSON line to.")] = None,
) -> None:
    """Times prefill and decoding by depth and by green mode, in turns with llama.cpp where it is installed."""
    from engine.evaluation.decode_bench import bench_decoding
    from engine.evaluation.decode_report import json_line, sentences
    from lsp_server.cli.render import decode_table

    config = EngineConfig(model=model, device=device, precision=precision, threads=threads)
    with progress_bar(counting=True) as progress:
        report = bench_decoding(config, gguf, rounds=rounds, note=note, progress=progress)
    console = Console()
    console.print(decode_table(report))
    for sentence in sentences(report):
        console.print(sentence, highlight=False, soft_wrap=True)
    line = json_line(report)
    if output is None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    else:
        with output.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


@app.command()
def shapes(
    names: Annotated[list[str], typer.Argument(help="Models of `models recommend`, whose sizes are taken.")],
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often everything takes its turn.")] = 3,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")] = None,
    output: Annotated[Path | None, output_file("A file to add JSON lines to.")] = None,
) -> None:
    """Memory, time and modelled joules by depth at the sizes of models, with random weights: nothing is fetched."""
    from engine.evaluation.shapes import measure_shape
    from engine.model.catalogue import CATALOGUE
    from lsp_server.cli.render import shape_table

    known = {model.name: model for model in CATALOGUE}
    for name in names:
        if name not in known:
            raise ConfigError(f"The sizes of '{name}' are not known; those of {', '.join(known)} are.")
    for name in names:
        with progress_bar() as progress:
            report = measure_shape(known[name], rounds=rounds, threads=threads, progress=progress)
        Console().print(shape_table(report))
        if output is not None:
            with output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(report)) + "\n")


@app.command()
def gpu(
    folder: Annotated[Path, typer.Argument(help="A folder that --pack has filled.")],
    output: Annotated[Path, output_folder("The folder for results, as they come.")] = Path("gpu"),
    minutes: Annotated[
        float, typer.Option("--minutes", min=0.5, help="What there is of the machine's time.")
    ] = MINUTES,
    device: DeviceOption = "cuda",
    stages: Annotated[str, typer.Option("--stages", help="Comma-separated; all if left out.")] = "",
    pack: Annotated[
        bool, typer.Option("--pack", help="Packs model and training text into the folder instead, to take it there.")
    ] = False,
    model: Model = DEFAULT_MODEL,
) -> None:
    """Spends ten minutes on a GPU, without a network: tests, ms and joules by depth, other stacks, then training."""
    from lsp_server.cli.gpu import only
    from lsp_server.cli.gpu import stages as stages_for
    from lsp_server.cli.parcel import pack as packed
    from lsp_server.cli.parcel import unpack
    from lsp_server.cli.timed_stages import run_stages

    if pack:
        from engine.corpus.datasets import gather_corpus
        from engine.model.sources.store import resolve_model

        with progress_bar() as progress:
            files = resolve_model(model, progress=progress)
            corpus = gather_corpus(progress=progress).path
        assert corpus is not None  # as it is from the cache
        packed(files, corpus, folder)
        return
    started_s, console, output = time.monotonic(), Console(), output.resolve()
    name = unpack(folder, output / "cache")
    environment = {
        "XDG_CACHE_HOME": str(output / "cache"),
        "XDG_DATA_HOME": str(output / "data"),
        "HF_HUB_OFFLINE": "1",
    }
    run_stages(
        only(stages_for(name, device, output, minutes), listed(stages)),
        output,
        seconds=60 * minutes - (time.monotonic() - started_s),
        environment=environment,
        tell=lambda run: console.print(
            f"{run.stage}: {run.outcome} after {run.elapsed_s:.0f} of {run.box_s:.0f} s. {run.last_words}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        ),
    )
    console.print(f"All results are in {output}", highlight=False, soft_wrap=True)


@app.command()
def words(
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    n_words: Annotated[int, typer.Option("--words", min=1, help="Words to complete.")] = 500,
    green_modes: Annotated[
        str, typer.Option("--green-modes", help="Comma-separated positions of the slider.")
    ] = f"0,{DEFAULT_GREEN_MODE}",
    signs: Annotated[bool, typer.Option("--signs", help="Completes `==`, `->` and the like after one sign.")] = False,
    output: Annotated[Path | None, output_file("A file for every try, as JSON lines.")] = None,
) -> None:
    """Completes words of installed packages that no training has seen, after none to four of their letters."""
    from engine.completion.acceptance import ACCEPTANCE
    from engine.corpus.installed import installed_held_out
    from engine.evaluation.begun_words import LETTERS, sample_words, try_words, word_shares
    from lsp_server.cli.render import words_table
    from lsp_server.suggest.gate import least_chance

    modes = [slider_position(text) for text in listed(green_modes)]
    chance = ACCEPTANCE.find().chance
    with open_engine(model, device) as engine, progress_bar(counting=True) as progress:
        progress("Reading installed packages", 0, None)
        tried = try_words(
            engine.complete,
            sample_words(installed_held_out(), n_words, signs=signs),
            green_modes=modes,
            letters=(1,) if signs else LETTERS,
            is_asked=lambda prefix, mode: chance(prefix) >= least_chance(mode),
            progress=progress,
        )
    Console().print(words_table(word_shares(tried)))
    if output is not None:
        output.write_text("".join(json.dumps(asdict(one)) + "\n" for one in tried), encoding="utf-8")


@app.command()
def windows(
    model: Model = DEFAULT_MODEL,
    n_windows: Annotated[int, typer.Option("--windows", min=1, help="Windows that are opened one by one.")] = 3,
    people: Annotated[int, typer.Option("--people", min=0, max=20, help="Who type at once; 0 leaves it out.")] = 16,
    alone: Annotated[int, typer.Option("--alone", min=1, help="Of them who type alone before, one by one.")] = 4,
    chars: Annotated[int, typer.Option("--chars", min=40, help="How much each of them types.")] = 200,
    requests: Annotated[int, typer.Option("--requests", min=1, help="To each kind of engine, one by one.")] = 60,
    idle_s: Annotated[float, typer.Option("--idle", min=0, help="Seconds in which nothing happens.")] = 60.0,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often windows are opened each way.")] = 3,
    before: Annotated[
        str,
        typer.Option(
            "--before",
            help="Starts the servers that share no engine, where they are another build's, such as "
            "'OTHER/.venv/bin/python -I -m lsp_server.replay.serve'.",
            metavar="COMMAND",
        ),
    ] = "",
    output: Annotated[Path | None, output_file("A file for the numbers, as JSON.")] = None,
) -> None:
    """Opens several windows at once, each with an engine of its own, and in turns all with a shared one."""
    from lsp_server.cli.render import windows_table
    from lsp_server.replay.windows import open_windows, real_files, socket_costs, type_at_once
    from lsp_server.replay.windows_report import rows

    with progress_bar(counting=True) as progress, real_files(max(n_windows, people), chars) as files:
        opened = []
        kinds: tuple[Sharing, ...] = ("alone", "shared")
        for turn, sharing in itertools.product(range(rounds), kinds):
            progress(f"Opening windows: {sharing}", turn, rounds)
            build = shlex.split(before) if sharing == "alone" else ()
            opened.append(asyncio.run(open_windows(sharing, files[:n_windows], model, idle_s=idle_s, build=build)))
        costs = socket_costs(files[0], model, n_requests=requests, progress=progress)
        typed = []
        if people:
            progress("Typing in one window after another", 0, None)
            first = files[: min(alone, people)]
            one_by_one = (type_at_once([file], model, seed=1 + n) for n, file in enumerate(first))
            typed.append([run for runs in map(asyncio.run, one_by_one) for run in runs])
            progress(f"Typing in {people} windows at once", 0, None)
            typed.append(asyncio.run(type_at_once(files[:people], model, seed=1)))
    Console().print(windows_table(rows(opened, costs, typed)))
    if output is not None:
        facts = {"model": model, "opened": opened, "socket": costs, "typed": typed}
        output.write_text(json.dumps(facts, default=asdict), encoding="utf-8")


def _show_replay(runs: Sequence[ReplayRun], output: Path, facts: Mapping[str, object]) -> None:
    from lsp_server.replay.output import table, write
    from lsp_server.replay.summary import summarise

    summaries = summarise(runs)
    console = Console()
    console.print(table(summaries))
    n_files, n_seeds = len({run.file for run in runs}), len({run.seed for run in runs})
    write(output, summaries, runs, {**facts, "machine": platform.processor() or platform.machine()})
    console.print(
        f"{n_files} files, {n_seeds} persons, pauses × {facts['time_scale']:g}; in brackets 95 % intervals over both; "
        f"all numbers are in {output}",
        highlight=False,
        soft_wrap=True,
    )
