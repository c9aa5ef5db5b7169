"""The arms of a replay: our server, each time with settings of its own, and perhaps a peer; all take turns.

It also has the rules by which text is taken. It knows neither what is typed nor how results are shown.
"""

from __future__ import annotations

import itertools
import shlex
import sys
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.completion.kept import kept_characters
from engine.errors import ConfigError
from lsp_server.replay.replay import replay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from engine.types import ProgressSink
    from lsp_server.replay.green_code import GreenCodeUnderTest
    from lsp_server.replay.replay import ReplayRun, Stretch
    from lsp_server.replay.servers import ServerUnderTest

RawSettings = dict[str, object]
Accept = Literal["words", "whole"]
PeerEndpoint = Literal["infill", "completion"]

THIS_BUILD = (sys.executable, "-I", "-m", "lsp_server.replay.serve")
"""Starts our server; the ledger's file is added."""

PEER = "peer"
"""The name of the peer's arm."""

# What an arm changes of the settings. "first" is today's decoder at full depth, the model alone, asked at every key,
# no text reused. "first-fp32" runs on torch in fp32 as well, as the very first server did.
_FIRST: RawSettings = {
    "policy": "full-depth",
    "projectText": False,
    "reuse": False,
    "debounceMs": 0,
    "skipUnlikely": False,
}
ARMS: Mapping[str, RawSettings] = {
    "now": {},
    "first": _FIRST,
    "first-fp32": _FIRST | {"precision": "fp32"},
    "full-depth": {"policy": "full-depth"},
    "no-project": {"projectText": False},
    "no-reuse": {"reuse": False},
    "no-wait": {"debounceMs": 0},
    "no-skip": {"skipUnlikely": False},
    "no-gate": {"debounceMs": 0, "skipUnlikely": False},
    "imports": {"imports": True},
    "file-path": {"filePath": True},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Typing:
    """How stretches are typed, whatever the server.

    Attributes:
        seeds: Persons who type each stretch.
        accept: What is taken: "words" that fit, or only what fits "whole".
        pairs: What the editor closes by itself, closer by opener.
        time_scale: Multiplies the pauses of the persons, not those of editor and server.
    """

    seeds: int = 1
    accept: Accept = "words"
    pairs: Mapping[str, str]
    time_scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A running llama.cpp server.

    Attributes:
        url: Where it listens.
        endpoint: What its model can do.
    """

    url: str
    endpoint: PeerEndpoint = "infill"


def build_named(text: str) -> tuple[str, list[str]]:
    """An arm's name and what starts its server, from NAME=COMMAND.

    Raises:
        ConfigError: If that is not what it is.
    """
    name, _, command = text.partition("=")
    if not name.isidentifier() or name in ARMS or name == PEER or not command.strip():
        raise ConfigError(
            f"'{text}' names no build: write NAME=COMMAND with a name that no arm has, "
            "such as released=OTHER/.venv/bin/python -I -m lsp_server.replay.serve."
        )
    return name, shlex.split(command)


def settings_of(arm: str) -> RawSettings:
    """What an arm changes of the server's settings.

    Raises:
        ConfigError: If there is no such arm.
    """
    if arm not in ARMS:
        raise ConfigError(f"There is no arm '{arm}'; choose from {', '.join(ARMS)}.")
    return ARMS[arm]


async def replay_in_turns(
    arms: Mapping[str, RawSettings],
    builds: Mapping[str, Sequence[str]],
    peer: Peer | None,
    stretches: Sequence[Stretch],
    typing: Typing,
    *,
    progress: ProgressSink,
) -> AsyncIterator[list[ReplayRun]]:
    """Types each stretch into every server, one after another, while all of them stand ready.

    Args:
        arms: The settings of our servers, by arm.
        builds: What starts the server of an arm where it is another build than this one, by arm.
        peer: A server to measure beside them.
        stretches: What is typed.
        typing: How it is typed.
        progress: Is called for each stretch and person.

    Yields:
        One run of each arm for each stretch and person; the order of the arms within it rotates.

    Raises:
        EngineError: A server failed.
    """
    workspace = list(dict.fromkeys(stretch.folder for stretch in stretches if stretch.folder is not None))
    async with AsyncExitStack() as stack:
        servers: dict[str, ServerUnderTest] = {
            name: await stack.enter_async_context(green_code(settings, builds.get(name, THIS_BUILD), workspace))
            for name, settings in arms.items()
        }
        if peer is not None:
            servers[PEER] = _connected(peer)
        order = list(servers)
        for turn, (stretch, seed) in enumerate(itertools.product(stretches, range(typing.seeds))):
            first = turn % len(order)
            runs = []
            for arm in order[first:] + order[:first]:
                progress(f"Typing for {arm}", turn, len(stretches) * typing.seeds)
                run = await replay(
                    arm,
                    servers[arm],
                    stretch,
                    seed=seed,
                    accepted=ACCEPTED[typing.accept],
                    pairs=typing.pairs,
                    time_scale=typing.time_scale,
                )
                runs.append(run)
            yield runs


@asynccontextmanager
async def green_code(
    settings: RawSettings, command: Sequence[str], workspace: Sequence[Path]
) -> AsyncIterator[GreenCodeUnderTest]:
    """Our server in a process of its own, with a ledger of its own; it ends with the context.

    Args:
        settings: As an editor sends them.
        command: Starts it; the ledger's file is added.
        workspace: The folders that it is opened in.

    Raises:
        EngineError: It cannot answer.
    """
    from lsp_server.replay.green_code import GreenCodeUnderTest

    with tempfile.TemporaryDirectory(prefix="green-code-bench-") as folder:
        server = GreenCodeUnderTest(settings, Path(folder), command, workspace)
        try:
            await server.start()
            yield server
        finally:
            await server.stop()


def _connected(peer: Peer) -> ServerUnderTest:
    from lsp_server.replay.http_peer import HttpPeer, PeerClient

    return HttpPeer(peer.url, PeerClient(endpoint="/infill" if peer.endpoint == "infill" else "/completion"))


def _whole(suggestion: str, wanted: str) -> int:
    return len(suggestion) if wanted.startswith(suggestion) else 0


ACCEPTED: Mapping[Accept, Callable[[str, str], int]] = {"words": kept_characters, "whole": _whole}
"""How many characters of a suggestion (first) a person takes who wants to write the second."""
