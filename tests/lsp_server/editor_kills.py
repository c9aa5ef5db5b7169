"""Editors that are killed at random, whose servers share an engine: `python -m tests.lsp_server.editor_kills 500`.

Each server must end soon and leave nothing behind, no completion that an editor was told of may be missing in the
ledger, and the other windows must be answered meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psutil
from lsprotocol import types

from engine.service.endpoint import Endpoint
from tests.engine.service.hosted import SHARED, until
from tests.lsp_server.client import PATIENCE_S, ROOT, fake_server, initialize, started
from tests.lsp_server.dying_editor import STEPS

if TYPE_CHECKING:
    from tests.lsp_server.client import Client

N_EDITORS = 3  # at a time
N_OTHERS = 2  # windows whose editors live
_LONGEST_PAUSE_S = 0.3
_PERIOD_S = 0.01


@dataclass
class Seen:
    """What came of it.

    Attributes:
        killed: How many editors, by the step they had begun.
        slowest_end_s: From a kill until its server, and all that it had started, was gone; by step.
        answered: How often the other windows were.
        slowest_answer_s: Of these.
        told: Completions that an editor was told of.
        lost: Those of them that the ledger has not.
        left: What was left behind, be it by a server that took too long to end.
    """

    killed: Counter[str] = field(default_factory=Counter)
    slowest_end_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STEPS, 0.0))
    answered: int = 0
    slowest_answer_s: float = 0.0
    told: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    left: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """For people."""
        by_step = ", ".join(f"{self.killed[step]} {step} {self.slowest_end_s[step]:.1f} s" for step in STEPS)
        return (
            f"{self.killed.total()} editors killed, and the slowest end of each kind: {by_step}; "
            f"other windows were answered {self.answered} times, the slowest in {self.slowest_answer_s:.1f} s; "
            f"{len(self.told)} completions told, {len(self.lost)} lost; left behind: {self.left or 'nothing'}"
        )


def kill(kills: int, seed: int = 0) -> Seen:
    """Kills so many editors, each behind a step and a moment that chance says."""
    with TemporaryDirectory(prefix="green-code-", ignore_cleanup_errors=True) as name:
        return asyncio.run(_Kills(Path(name), random.Random(seed)).run(kills))


class _Kills:
    def __init__(self, folder: Path, rng: random.Random) -> None:
        self._rng, self._seen, self._is_over = rng, Seen(), False
        self._meeting, self._ledger = folder / "m", folder / "ledger" / "ledger.sqlite3"
        self._workspace, self._temporary = folder / "workspace", folder / "tmp"
        for made in (self._meeting, self._workspace, self._temporary):
            made.mkdir()
        # With a repository, each server has a process of git's.
        subprocess.run(["git", "init", "-q"], cwd=self._workspace, check=True)
        (self._workspace / ".gitignore").write_text("*.log\n")

    async def run(self, kills: int) -> Seen:
        """Kills, and looks what is left."""
        steps = [STEPS[n % len(STEPS)] for n in range(kills)]
        self._rng.shuffle(steps)
        async with AsyncExitStack() as stack:
            command = fake_server(self._ledger, self._meeting)
            others = [await stack.enter_async_context(started(*command)) for _ in range(N_OTHERS)]
            for other in others:
                await initialize(other, {"debounceMs": 0})
                await other.ready()
            asking = [asyncio.create_task(self._ask_on(other)) for other in others]
            await asyncio.gather(*(self._kill_in_turn(steps, asking) for _ in range(N_EDITORS)))
            self._is_over = True
            for task in asking:
                await task  # raises what went wrong there
        endpoint = Endpoint.of(SHARED, self._meeting)
        until(lambda: endpoint.process_id is None and not list(self._meeting.glob("*.sock")))  # which goes last
        self._look_around()
        return self._seen

    async def _ask_on(self, other: Client) -> None:
        """A window whose editor lives."""
        while not self._is_over:
            uri = f"file:///other/{self._seen.answered}-{id(other)}.py"
            other.open("x", uri=uri)
            begun_s = time.monotonic()
            item = await asyncio.wait_for(other.complete(0, 1, uri=uri), PATIENCE_S)
            self._seen.slowest_answer_s = max(self._seen.slowest_answer_s, time.monotonic() - begun_s)
            assert item is not None
            assert item.command is not None
            assert item.command.arguments is not None
            self._seen.told.add(str(item.command.arguments[0]))
            self._seen.answered += 1
            document = types.TextDocumentIdentifier(uri=uri)
            other.text_document_did_close(types.DidCloseTextDocumentParams(text_document=document))
            await asyncio.sleep(5 * _PERIOD_S)

    async def _kill_in_turn(self, steps: list[str], asking: list[asyncio.Task[None]]) -> None:
        while steps and not any(task.done() for task in asking):
            await self._kill(steps.pop())

    async def _kill(self, step: str) -> None:
        command = (sys.executable, "-m", "tests.lsp_server.dying_editor", str(self._workspace))
        editor = await asyncio.create_subprocess_exec(
            *command,
            *fake_server(self._ledger, self._meeting),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(self._temporary)},
        )
        assert editor.stdout is not None
        lines: list[list[str]] = []
        while not lines or lines[-1][0] != step:
            line = await asyncio.wait_for(editor.stdout.readline(), PATIENCE_S)
            assert line, f"an editor ended by itself, behind {lines[-1:]}"
            lines.append(line.decode().split())
        server = psutil.Process(int(lines[0][1]))
        await asyncio.sleep(self._rng.random() * _LONGEST_PAUSE_S)
        started_by_it = _family_of(server)
        begun_s = time.monotonic()
        if editor.returncode is None:  # it had as many moments as it needed to end
            editor.kill()
        lines += [line.split() for line in (await editor.stdout.read()).decode().splitlines()]
        await editor.wait()
        while not all(_is_gone(process) for process in started_by_it):
            if time.monotonic() - begun_s > PATIENCE_S:
                self._seen.left += [str(process) for process in started_by_it if not _is_gone(process)]
                break
            await asyncio.sleep(_PERIOD_S)
        ends_s = self._seen.slowest_end_s
        ends_s[step] = max(ends_s[step], time.monotonic() - begun_s)
        self._seen.killed[step] += 1
        self._seen.told.update(line[1] for line in lines if line[0] == "told")

    def _look_around(self) -> None:
        with closing(sqlite3.connect(self._ledger)) as database:
            verdict = database.execute("PRAGMA integrity_check").fetchone()[0]
            kept = {row[0] for row in database.execute("SELECT id FROM completion")}
        self._seen.lost = self._seen.told - kept
        self._seen.left += [] if verdict == "ok" else [verdict]
        known = {path.with_suffix(end) for path in self._meeting.glob("*.lock") for end in (".lock", ".log")}
        known |= {self._meeting / "engine.log", self._ledger}
        found = {path for folder in (self._meeting, self._ledger.parent, self._temporary) for path in folder.iterdir()}
        self._seen.left += sorted(str(path) for path in found - known)


def _family_of(server: psutil.Process) -> list[psutil.Process]:
    try:
        return [server, *server.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [server]


def _is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


if __name__ == "__main__":
    seen = kill(int(sys.argv[1]))
    sys.stdout.write(f"{seen}\n")
    sys.exit(bool(seen.lost or seen.left))
