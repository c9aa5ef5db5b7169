"""What several windows at once take of a machine, each with an engine of its own, and all with a shared one.

It starts real servers and types into them; it knows no table.
"""

from __future__ import annotations

import asyncio
import shutil
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

import psutil

from engine.config import EngineConfig
from engine.engine import load_engine
from engine.service.endpoint import Endpoint
from engine.service.opened import open_shared
from engine.types import CompletionRequest, no_progress
from lsp_server.replay.green_code import GreenCodeUnderTest
from lsp_server.replay.replay import replay
from lsp_server.replay.serve import LINGER_S
from lsp_server.replay.server_arms import ACCEPTED, THIS_BUILD, RawSettings
from lsp_server.replay.stretches import stretches_of
from lsp_server.suggest.scheduler import give_way_to_the_editor
from lsp_server.suggest.seams import CancellationEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from engine.types import ProgressSink
    from lsp_server.replay.replay import ReplayRun, Stretch
    from lsp_server.suggest.seams import CompletionEngine

Sharing = Literal["alone", "shared"]
ASKS_ALWAYS: RawSettings = {"debounceMs": 0, "skipUnlikely": False, "reuse": False}
_FILES = (
    *("argparse", "ast", "calendar", "configparser", "csv", "difflib", "fractions", "gzip", "imaplib", "inspect"),
    *("mailbox", "optparse", "pdb", "pprint", "shlex", "smtplib", "tarfile", "textwrap", "trace", "zipapp"),
)
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsTaken:
    """What some windows took.

    Attributes:
        sharing: Whether each had an engine of its own.
        first_s: For each window, from its start to its first answer.
        resident_mb: Of all processes at the end, as each counts it: what they map together counts for each.
        proportional_mb: The same, what is mapped together counted once; None where the system does not tell.
        idle_cpu: Cores that all processes took while nothing happened.
    """

    sharing: Sharing
    first_s: tuple[float, ...]
    resident_mb: float
    proportional_mb: float | None
    idle_cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketCosts:
    """What a request took beyond the engine's own time, and what loading takes.

    Attributes:
        alone_ms: For each request to an engine in this process.
        shared_ms: For each request to a shared one.
        whole_ms: How long each took in all, to the one and to the other.
        reload_s: From no engine's process to a loaded engine.
        join_s: To come to one that is loaded.
    """

    alone_ms: Sequence[float]
    shared_ms: Sequence[float]
    whole_ms: Mapping[Sharing, Sequence[float]]
    reload_s: float
    join_s: float


@contextmanager
def real_files(n_files: int, chars: int) -> Iterator[list[Stretch]]:
    """Stretches of modules of Python's own library, each in a workspace of its own."""
    library = Path(sysconfig.get_path("stdlib"))
    with TemporaryDirectory(prefix="green-code-bench-") as folder:
        paths = []
        for number, name in enumerate(_FILES):
            path = Path(folder) / str(number) / f"{name}.py"
            if (library / path.name).exists():
                path.parent.mkdir()
                shutil.copy(library / path.name, path)
                paths.append(path)
        yield stretches_of(paths, n_files=n_files, chars=chars, folder=Path(folder), progress=no_progress)[:n_files]


async def open_windows(
    sharing: Sharing, stretches: Sequence[Stretch], model: str, *, idle_s: float, build: Sequence[str] = ()
) -> WindowsTaken:
    """Opens a window for each stretch, one after another, asks in each, and lets them rest.

    Args:
        sharing: Whether they share an engine.
        stretches: What stands in them.
        model: Which they use.
        idle_s: How long they rest.
        build: Starts windows of another build, which shares no engine; this one's where it is empty.

    Raises:
        EngineError: A server failed.
    """
    first_s = []
    async with meeting(model, sharing) as (folder, stack):
        command = build or sharing_command(folder)
        servers = []
        for stretch in stretches:
            begun_s = time.perf_counter()
            server = await stack.enter_async_context(window(command, sharing, model, stretch, ASKS_ALWAYS))
            await _ask_once(server, stretch)
            first_s.append(time.perf_counter() - begun_s)
            servers.append(server)
        for server, stretch in zip(servers, stretches, strict=True):
            await _ask_once(server, stretch)
        processes = _processes(servers, folder, model)
        cpu_s = _cpu_s(processes)
        await asyncio.sleep(idle_s)
        resident_mb, proportional_mb = _memory_mb(processes)
        return WindowsTaken(
            sharing=sharing,
            first_s=tuple(first_s),
            resident_mb=resident_mb,
            proportional_mb=proportional_mb,
            idle_cpu=(_cpu_s(processes) - cpu_s) / idle_s if idle_s else 0.0,
        )


async def type_at_once(stretches: Sequence[Stretch], model: str, *, seed: int) -> list[ReplayRun]:
    """Somebody types each stretch, all at once, each in a window as it ships, with one engine for all.

    Raises:
        EngineError: A server failed, or left a request without an answer.
    """
    async with meeting(model, "shared") as (folder, stack):
        servers = [
            await stack.enter_async_context(window(sharing_command(folder), "shared", model, stretch, {}))
            for stretch in stretches
        ]
        typing = [
            replay("shared", server, stretch, seed=seed + number, accepted=ACCEPTED["words"])
            for number, (server, stretch) in enumerate(zip(servers, stretches, strict=True))
        ]
        return list(await asyncio.gather(*typing))


def socket_costs(stretch: Stretch, model: str, *, n_requests: int, progress: ProgressSink) -> SocketCosts:
    """Asks both kinds of engine for the same in turns, and reloads the shared one.

    Raises:
        EngineError: An engine failed.
    """
    config = _config(model)
    requests = [
        CompletionRequest(prefix=stretch.before + stretch.text[:end], suffix=stretch.after, language_id="python")
        for end in range(0, len(stretch.text), max(1, len(stretch.text) // n_requests))
    ][:n_requests]
    with (
        TemporaryDirectory(prefix="green-code-bench-") as name,
        ThreadPoolExecutor(1, initializer=give_way_to_the_editor) as here,
        ThreadPoolExecutor(1) as waiting,
    ):
        folder = Path(name)
        shared = open_shared(config, no_progress, folder=folder, linger_s=0.0)
        shared.close()  # weights are in the system's cache from now on
        _wait_for_end(Endpoint.of(config, folder))
        started_s = time.perf_counter()
        shared = open_shared(config, no_progress, folder=folder, linger_s=0.0)
        loaded_s = time.perf_counter()
        open_shared(config, no_progress, folder=folder).close()
        joined_s = time.perf_counter()
        alone = here.submit(load_engine, config).result()
        taken: dict[Sharing, list[float]] = {"alone": [], "shared": []}
        whole: dict[Sharing, list[float]] = {"alone": [], "shared": []}
        for number, request in enumerate(requests):
            progress("Asking in turns", number, len(requests))
            asked: list[tuple[Sharing, ThreadPoolExecutor, CompletionEngine]] = [
                ("alone", here, alone),
                ("shared", waiting, shared),
            ]
            for kind, thread, engine in asked[:: 1 if number % 2 else -1]:  # on threads like those of a server
                ask = partial(engine.complete, request, cancellation=CancellationEvent(), on_text=lambda _: None)
                begun_s = time.perf_counter()
                completion = thread.submit(ask).result()
                took_s = time.perf_counter() - begun_s
                taken[kind].append(1000 * (took_s - completion.elapsed_s))
                whole[kind].append(1000 * took_s)
        alone.close()
        shared.close()
        _wait_for_end(Endpoint.of(config, folder))
    return SocketCosts(
        alone_ms=taken["alone"],
        shared_ms=taken["shared"],
        whole_ms=whole,
        reload_s=loaded_s - started_s,
        join_s=joined_s - loaded_s,
    )


@asynccontextmanager
async def meeting(model: str, sharing: Sharing) -> AsyncIterator[tuple[Path, AsyncExitStack]]:
    """A folder where windows share, for those that the stack holds; the engine has left when this ends."""
    with TemporaryDirectory(prefix="green-code-bench-") as name:
        async with AsyncExitStack() as stack:
            yield Path(name), stack
        if sharing == "shared":
            await asyncio.to_thread(_wait_for_end, Endpoint.of(_config(model), Path(name)))


@asynccontextmanager
async def window(
    command: Sequence[str], sharing: Sharing, model: str, stretch: Stretch, settings: RawSettings
) -> AsyncIterator[GreenCodeUnderTest]:
    """A window with the stretch's workspace, its model loaded, and a ledger of its own."""
    with TemporaryDirectory(prefix="green-code-bench-") as folder:
        server = GreenCodeUnderTest(
            {"model": model, "sharedEngine": sharing == "shared"} | settings,
            Path(folder),
            command,
            [stretch.folder] if stretch.folder else [],
        )
        try:
            await server.start()
            yield server
        finally:
            await server.stop()


def sharing_command(folder: Path) -> list[str]:
    """Starts a server that shares with those that meet there."""
    return [*THIS_BUILD, "--meet", str(folder)]


async def _ask_once(server: GreenCodeUnderTest, stretch: Stretch) -> None:
    text = stretch.before + stretch.text.split("(")[0] + "("
    await server.begin(stretch.language_id, text + stretch.after, stretch.path)
    await server.ask(len(text))


def _processes(servers: Sequence[GreenCodeUnderTest], folder: Path, model: str) -> list[psutil.Process]:
    engine = Endpoint.of(_config(model), folder).process_id
    mine = [psutil.Process(server.process_id) for server in servers]
    children = [child for process in mine for child in process.children(recursive=True)]
    return [*mine, *children, *([psutil.Process(engine)] if engine is not None else [])]


def _memory_mb(processes: Sequence[psutil.Process]) -> tuple[float, float | None]:
    taken = [process.memory_full_info() for process in processes]
    proportional = [getattr(info, "pss", None) for info in taken]
    known = [value for value in proportional if value is not None]
    return sum(info.rss for info in taken) / 1e6, sum(known) / 1e6 if len(known) == len(taken) else None


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _config(model: str) -> EngineConfig:
    """As `lsp_server.replay.serve` asks for it."""
    return EngineConfig(model=model, shared=True, is_paced=False)


def _wait_for_end(endpoint: Endpoint) -> None:
    """Waits until the engine has left."""
    deadline_s = time.monotonic() + _PATIENCE_S + LINGER_S
    while endpoint.process_id is not None and time.monotonic() < deadline_s:
        time.sleep(0.02)
