"""Types for hours as persons do, into windows on one engine: `python -m tests.lsp_server.hours [HOURS [FILE]]`.

The servers, the engine and its model are the real ones. Each minute the memory of each process goes into the file, one
line of JSON; at the end it says how fast each grows.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import sysconfig
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import linear_regression, median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psutil

from engine.config import EngineConfig
from engine.service.endpoint import Endpoint
from engine.types import no_progress
from lsp_server.replay.replay import replay
from lsp_server.replay.server_arms import ACCEPTED
from lsp_server.replay.stretches import stretches_of
from lsp_server.replay.windows import meeting, sharing_command, window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from lsp_server.replay.green_code import GreenCodeUnderTest
    from lsp_server.replay.replay import Stretch

MODEL = "smollm2-135m"
N_WINDOWS = 2
CHARS = 400  # of a file, before the next is opened
MINUTE_S = 60.0
WARMING_SHARE = 0.25  # of the time, in which what is bounded fills


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a process holds: resident and its own memory in MB, open files, threads."""

    resident_mb: float
    own_mb: float
    files: int
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What all processes held after so many minutes, requests, and answers with text."""

    minutes: float
    asked: int
    shown: int
    held: Mapping[str, Held]


@dataclass
class _Typed:
    asked: int = 0
    shown: int = 0


async def type_for(seconds: float, file: TextIO, *, every_s: float = MINUTE_S, model: str = MODEL) -> list[Sample]:
    """Types into all windows for so long; the file gets each sample as soon as it is taken.

    Raises:
        EngineError: A request got no answer.
    """
    samples, typed = [], _Typed()
    with TemporaryDirectory(prefix="green-code-hours-") as name:
        stretches = _stretches(Path(name))
        async with meeting(model, "shared") as (folder, stack):
            servers = [
                await stack.enter_async_context(window(sharing_command(folder), "shared", model, stretches[0], {}))
                for _ in range(N_WINDOWS)
            ]
            engine = Endpoint.of(EngineConfig(model=model, shared=True), folder).process_id
            assert engine is not None, "the windows share none"
            processes = {f"window {number + 1}": server.process_id for number, server in enumerate(servers)}
            processes["engine"] = engine
            begun_s = time.monotonic()
            typing = {
                asyncio.create_task(_type_on(server, stretches, number, typed)) for number, server in enumerate(servers)
            }
            while time.monotonic() - begun_s < seconds:
                ended, _ = await asyncio.wait(typing, timeout=every_s, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    task.result()
                minutes = (time.monotonic() - begun_s) / MINUTE_S
                held = {name: _held(process_id) for name, process_id in processes.items()}
                samples.append(Sample(minutes=minutes, asked=typed.asked, shown=typed.shown, held=held))
                file.write(json.dumps(asdict(samples[-1])) + "\n")
                file.flush()
            for task in typing:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
    return samples


def growth_mb_an_hour(samples: Sequence[Sample], name: str) -> float:
    """The slope of a process's resident memory, once it is warm."""
    warm = samples[int(WARMING_SHARE * len(samples)) :]
    return (
        60
        * linear_regression(
            [sample.minutes for sample in warm], [sample.held[name].resident_mb for sample in warm]
        ).slope
    )


def _stretches(folder: Path) -> list[Stretch]:
    """A workspace of modules of Python's library, and a piece of each to type."""
    library = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    paths = [Path(shutil.copy(path, folder)) for path in library[::2]]
    return stretches_of(paths, n_files=len(paths), chars=CHARS, folder=folder, progress=no_progress)


async def _type_on(server: GreenCodeUnderTest, stretches: Sequence[Stretch], number: int, typed: _Typed) -> None:
    """One person types on, who began elsewhere than the others."""
    began = number * len(stretches) // N_WINDOWS
    for seed, stretch in enumerate(islice(cycle(stretches), began, None)):
        run = await replay("hours", server, stretch, seed=seed, accepted=ACCEPTED["words"])
        typed.asked, typed.shown = typed.asked + run.asked, typed.shown + run.shown


def _held(process_id: int) -> Held:
    process = psutil.Process(process_id)
    memory = process.memory_full_info()
    return Held(
        resident_mb=memory.rss / 1e6, own_mb=memory.uss / 1e6, files=process.num_fds(), threads=process.num_threads()
    )


def _report(samples: Sequence[Sample]) -> str:
    last, quarter = samples[-1], max(1, len(samples) // 4)
    lines = [f"{last.minutes:.0f} minutes, {last.asked} requests, {last.shown} with text"]
    for name in last.held:
        quarters = [
            median(sample.held[name].resident_mb for sample in samples[start : start + quarter])
            for start in range(0, len(samples) - quarter + 1, quarter)
        ]
        said = ", ".join(f"{mb:.1f}" for mb in quarters)
        lines.append(f"{name}: {said} MB by quarters; {growth_mb_an_hour(samples, name):+.2f} MB an hour")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    hours = float(sys.argv[1]) if sys.argv[1:] else 2.0
    with Path(sys.argv[2] if sys.argv[2:] else "hours.jsonl").open("w", encoding="utf-8") as file:
        sys.stdout.write(_report(asyncio.run(type_for(hours * 3600, file))))
