"""Windows that ask while their engine and other windows are killed: `python -m tests.engine.service.kills 500`.

Each question must end, with an answer or the news that the engine is lost; whoever comes again must find an engine; and
nothing may be left at the end.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from engine.errors import EngineLostError, NeverBegunError
from engine.service.endpoint import Endpoint
from engine.types import CompletionRequest, FinishReason
from lsp_server.suggest.seams import CancellationEvent
from tests.engine.service.hosted import SHARED, until
from tests.engine.service.processes import opened

N_WINDOWS = 3
LONGEST_S = 60.0  # of a question, an engine's start on a busy machine included
_LONGEST_PAUSE_S = 0.5


@dataclass
class Seen:
    """What came of all the questions."""

    answered: int = 0
    cancelled: int = 0
    lost: int = 0
    longest_s: float = 0.0
    engines_killed: int = 0
    servers_killed: int = 0


class Window:
    """Asks until it is told to end, and comes again whenever the engine is lost."""

    def __init__(self, folder: Path, seen: Seen, seed: int) -> None:
        self._folder, self._seen, self._random = folder, seen, random.Random(seed)
        self._is_over = threading.Event()
        self.fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Ends it; raises what went wrong in it."""
        self._is_over.set()
        self._thread.join(LONGEST_S)
        assert not self._thread.is_alive(), "a question has no end"
        if self.fault is not None:
            raise self.fault

    def _run(self) -> None:
        try:
            while not self._is_over.is_set():
                self._use_engine()
        except BaseException as error:  # the test's thread raises it
            self.fault = error

    def _use_engine(self) -> None:
        begun_s = time.monotonic()
        try:
            engine = opened(self._folder)
        except EngineLostError:
            self._seen.lost += 1
            return
        while not self._is_over.is_set():
            begun_s = begun_s or time.monotonic()
            cancellation = CancellationEvent()
            order = self._random.choice(["x", "slowly", "hold"])
            if order == "hold":
                threading.Timer(self._random.random() / 20, cancellation.cancel).start()
            request = CompletionRequest(prefix=order)
            try:
                completion = engine.complete(request, cancellation=cancellation, on_text=lambda _: None)
            except EngineLostError:
                self._seen.lost += 1
                break
            except NeverBegunError:
                self._seen.cancelled += 1
                continue
            finally:
                self._seen.longest_s, begun_s = max(self._seen.longest_s, time.monotonic() - begun_s), 0.0
            if completion.finish_reason is FinishReason.CANCELLED:
                self._seen.cancelled += 1
            else:
                self._seen.answered += 1
        engine.close()


def kill(kills: int, seed: int = 0) -> Seen:
    """Kills so many processes at random moments."""
    seen, rng = Seen(), random.Random(seed)
    with TemporaryDirectory(prefix="green-code-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        endpoint = Endpoint.of(SHARED, folder)
        windows = [Window(folder, seen, seed + number) for number in range(N_WINDOWS)]
        while seen.engines_killed + seen.servers_killed < kills and not any(window.fault for window in windows):
            time.sleep(rng.random() * _LONGEST_PAUSE_S)
            if rng.random() < 1 / 3:
                _kill_a_server(folder, rng)
                seen.servers_killed += 1
            elif (engine := endpoint.process_id) is not None:
                with suppress(psutil.NoSuchProcess):  # it was killed before, and the next has not come yet
                    psutil.Process(engine).kill()
                    seen.engines_killed += 1
        answered = seen.answered
        until(lambda: seen.answered > answered + N_WINDOWS or any(window.fault for window in windows))
        for window in windows:
            window.end()
        until(lambda: endpoint.process_id is None and not list(folder.glob("*.sock")))
    return seen


def _kill_a_server(folder: Path, rng: random.Random) -> None:
    command = [sys.executable, "-m", "tests.engine.service.holder", str(folder), "slowly"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        time.sleep(rng.random())
        server.kill()


if __name__ == "__main__":
    sys.stdout.write(f"{kill(int(sys.argv[1]))}\n")
