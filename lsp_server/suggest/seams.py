"""What the server needs of an engine, as protocols.

`engine.engine.Engine` is one in this process, `engine.service.shared_engine.SharedEngine` one in another.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.config import EngineConfig
    from engine.types import Cancellation, Completion, CompletionRequest, ProgressSink
    from lsp_server.context.project_reader import ProjectSink


class CompletionEngine(Protocol):
    """What the server needs of `engine.engine.Engine`."""

    @property
    def model_name(self) -> str:
        """The model in use."""
        ...

    @property
    def device_name(self) -> str:
        """Where it runs, for people."""
        ...

    @property
    def remote_host(self) -> str | None:
        """The server that it sends text to, for people; None where all stays on this machine."""
        ...

    @property
    def shared_as(self) -> str:
        """What an engine is called that other windows share; "" for one that serves this window alone.

        Where it is shared others may have their turn first; it tells a text of "" when a request's own has come.
        """
        ...

    @property
    def layers_total(self) -> int | None:
        """Layers of the model; None where they are not known."""
        ...

    @property
    def energy_source(self) -> str:
        """How joules are had, for people, such as "modelled: CPU seconds at 17.5 W a busy core"."""
        ...

    @property
    def meters_refused(self) -> tuple[str, ...]:
        """Why each better meter is not in use, one sentence each."""
        ...

    def complete(
        self, request: CompletionRequest, *, cancellation: Cancellation, on_text: Callable[[str], None]
    ) -> Completion:
        """Blocks until the text is there, and tells it as it grows; raises `EngineError`.

        A shared engine raises `EngineLostError` where it can answer no more, and `NeverBegunError` where the request
        was cancelled while others had their turn.
        """
        ...

    def project(self, name: str) -> ProjectSink:
        """The text of a project, to be filled; from any thread."""
        ...

    def close(self) -> None:
        """Gives back memory and meters."""
        ...


class EngineFactory(Protocol):
    """Loads an engine; blocks, possibly for a download; raises `EngineError`."""

    def __call__(self, config: EngineConfig, progress: ProgressSink, /) -> CompletionEngine:
        """Builds the engine."""
        ...


class Preparation(Protocol):
    """Has on the disk what an engine needs; blocks, possibly for minutes; raises `EngineError`."""

    def __call__(self, config: EngineConfig, progress: ProgressSink, /) -> None:
        """Fetches and prepares, and loads nothing."""
        ...


def nothing_to_prepare(_config: EngineConfig, _progress: ProgressSink, /) -> None:
    """For an engine that needs nothing, or does it all when it is loaded."""


class CancellationEvent:
    """A `Cancellation` that is set on the event loop and polled, or waited for, on the engine thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._calls: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    @property
    def is_cancelled(self) -> bool:
        """True once `cancel` was called."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Asks whoever polls to stop."""
        with self._lock:
            self._event.set()
            calls, self._calls = self._calls, []
        for call in calls:
            call()

    def when_cancelled(self, call: Callable[[], None]) -> None:
        """Calls once it is cancelled."""
        with self._lock:
            if not self._event.is_set():
                self._calls.append(call)
                return
        call()
