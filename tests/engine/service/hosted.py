"""A shared engine in this process, around a fake, and servers that come to it over a real socket."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.config import EngineConfig
from engine.service.endpoint import Endpoint
from engine.service.host import EngineHost
from engine.service.opened import open_shared
from engine.types import no_progress
from lsp_server.suggest.seams import CancellationEvent
from tests.fakes import FakeEngine, load_fake_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine.service.shared_engine import SharedEngine
    from engine.types import Completion, CompletionRequest, ProgressSink

PATIENCE_S = 20.0
SHARED = EngineConfig(shared=True)


class Hosted:
    """One host; `engine` is what it has loaded last."""

    def __init__(self, folder: Path, config: EngineConfig = SHARED, *, linger_s: float = PATIENCE_S) -> None:
        self.folder, self.config = folder, config
        self.engine = FakeEngine()
        self.loads = self.ended_loads = 0
        self.host = EngineHost(self._load, Endpoint.of(config, folder).listen(), linger_s=linger_s)
        self.host.open_door()
        self.thread = threading.Thread(target=self.host.serve, daemon=True)
        self.thread.start()

    def opened(self, progress: ProgressSink = no_progress) -> SharedEngine:
        """One server's engine."""
        return open_shared(self.config, progress, folder=self.folder, host="nobody.must.start.another")

    def end(self) -> None:
        """Ends the host, as if its process had ended."""
        self.host.end()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()

    def _load(self, config: EngineConfig, progress: ProgressSink) -> FakeEngine:
        self.loads += 1
        try:
            self.engine = load_fake_engine(config, progress)
        finally:
            self.ended_loads += 1
        return self.engine


class Asked:
    """A request under way, on a thread of its own."""

    def __init__(self, engine: SharedEngine, request: CompletionRequest) -> None:
        self.cancellation = CancellationEvent()
        self.texts: list[str] = []
        self._result: list[Completion | Exception] = []
        self._thread = threading.Thread(target=self._ask, args=(engine, request), daemon=True)
        self._thread.start()

    @property
    def is_answered(self) -> bool:
        """Whether there is an answer."""
        return bool(self._result)

    def answer(self) -> Completion:
        """Waits for the answer, or raises what came instead."""
        self._thread.join(PATIENCE_S)
        (result,) = self._result
        if isinstance(result, Exception):
            raise result
        return result

    def _ask(self, engine: SharedEngine, request: CompletionRequest) -> None:
        try:
            self._result.append(engine.complete(request, cancellation=self.cancellation, on_text=self.texts.append))
        except Exception as error:
            self._result.append(error)


@contextmanager
def hosted(folder: Path, config: EngineConfig = SHARED) -> Iterator[Hosted]:
    """A host that is ended."""
    host = Hosted(folder, config)
    try:
        yield host
    finally:
        host.end()


def until(is_so: Callable[[], bool]) -> None:
    """Waits for what another thread does."""
    for _ in range(int(PATIENCE_S / 0.005)):
        if is_so():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it never came to be")
