"""`SharedEngine`: the shared engine as one server sees it; what `lsp_server.suggest.seams.CompletionEngine` asks for.

Its methods cross to the engine's process and back. It starts nothing, and decides nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from engine.errors import EngineLostError, NeverBegunError
from engine.sentences import Sentence
from engine.service import wire
from engine.service.known_text import KnownText
from engine.service.wire import completion_of, error_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.service.link import Link
    from engine.service.wire import Message, SharedFacts
    from engine.types import Cancellation, Completion, CompletionRequest

logger = logging.getLogger(__name__)

_LOST = Sentence("The engine has ended and is started again.")

_Inbox = SimpleQueue["Message | None"]
"""Of one request: its answers; None where none will come, or none is wanted."""


class SharedEngine:
    """The engine behind a link. From any thread.

    Args:
        link: To the engine's process, which has said that it is ready.
        facts: What it said of the engine.

    Attributes:
        projects_cpu_s: CPU time that the engine's process has spent on filling our projects, as it said last.
    """

    def __init__(self, link: Link, facts: SharedFacts) -> None:
        self.projects_cpu_s = 0.0
        self._link, self._facts = link, facts
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[_Inbox, Callable[[str], None]]] = {}  # by number, with who hears a text grow
        self._lock = threading.Lock()
        self._text, self._asking = KnownText(), threading.Lock()
        self._is_lost = False
        threading.Thread(target=self._read, name="shared engine", daemon=True).start()

    @property
    def model_name(self) -> str:
        """The model in use."""
        return self._facts.model_name

    @property
    def device_name(self) -> str:
        """Where it runs, for people."""
        return self._facts.device_name

    @property
    def remote_host(self) -> None:
        """Nobody's: it is a process of this machine."""
        return None

    @property
    def shared_as(self) -> str:
        """Other windows are served too; no two engines are called the same."""
        return self._facts.shared_as

    @property
    def layers_total(self) -> int:
        """Layers of the model."""
        return self._facts.layers_total

    @property
    def energy_source(self) -> str:
        """How joules are had, for people."""
        return self._facts.energy_source

    @property
    def meters_refused(self) -> tuple[str, ...]:
        """Why each better meter is not in use, one sentence each."""
        return self._facts.meters_refused

    def complete(
        self, request: CompletionRequest, *, cancellation: Cancellation, on_text: Callable[[str], None]
    ) -> Completion:
        """Blocks until the text is there, and tells it as it grows, from "" on when its turn has come.

        That is told on another thread, which must not be kept.

        Raises:
            EngineError: The engine's own.
            EngineLostError: Its process has ended, or is about to.
            NeverBegunError: It was cancelled before its turn came.
        """
        with self._inbox(on_text) as (number, inbox):
            self._ask(number, request)
            cancellation.when_cancelled(lambda: inbox.put(None))
            is_told = False
            while True:
                message = inbox.get()
                if message is None and (self._is_lost or is_told):
                    raise EngineLostError(_LOST)
                if message is None:
                    is_told = True
                    self._link.send({"do": wire.CANCEL, "id": number})
                elif message["is"] == wire.DONE:
                    return completion_of(message["completion"])
                elif message["is"] == wire.WITHDRAWN:
                    raise NeverBegunError("The request was taken back before its turn came.")
                else:
                    raise error_of(message)

    def project(self, name: str) -> SharedProject:
        """The text of a project, to be filled; from any thread."""
        return SharedProject(self, name)

    def ask_project(self, name: str, call: str, *arguments: str) -> object:
        """Calls a method of a project's text, and waits for what it gives.

        Raises:
            EngineError: It failed there.
            EngineLostError: The engine's process has ended.
        """
        with self._inbox() as (number, inbox):
            self._link.post(_project_call(number, name, call, arguments))
            message = inbox.get()
        if message is None:
            raise EngineLostError(_LOST)
        if message["is"] == wire.FAILED:
            raise error_of(message)
        self.projects_cpu_s = message["cpu_s"]
        value: object = message["value"]
        return value

    def tell_project(self, name: str, call: str, *arguments: str) -> None:
        """Calls a method of a project's text, behind those before, and does not wait."""
        self._link.post(_project_call(0, name, call, arguments))

    def close(self) -> None:
        """Leaves the engine to others."""
        self._link.close()

    def _ask(self, number: int, request: CompletionRequest) -> None:
        with self._asking:  # what is left out is known by what was sent before
            new, kept = self._text.shortened(request)
            self._link.send({"do": wire.COMPLETE, "id": number, "request": new, "kept": kept})

    @contextlib.contextmanager
    def _inbox(self, on_text: Callable[[str], None] = lambda _: None) -> Iterator[tuple[int, _Inbox]]:
        number = next(self._numbers)
        inbox: _Inbox = SimpleQueue()
        with self._lock:
            if self._is_lost:
                raise EngineLostError(_LOST)
            self._waiting[number] = inbox, on_text
        try:
            yield number, inbox
        finally:
            with self._lock:
                del self._waiting[number]

    def _read(self) -> None:
        while (message := self._link.receive()) is not None:
            if message["is"] == wire.LOG:
                logging.getLogger(message["name"]).log(message["level"], "%s", message["text"])
                continue
            with self._lock:
                waiting = self._waiting.get(message.get("id", 0))
            if waiting is None:
                continue
            inbox, on_text = waiting
            if message["is"] == wire.TEXT:
                self._tell(on_text, message["text"])
            else:
                inbox.put(message)
        with self._lock:
            self._is_lost = True
            for inbox, _ in self._waiting.values():
                inbox.put(None)

    @staticmethod
    def _tell(on_text: Callable[[str], None], text: str) -> None:
        """Here, on the thread that reads: to wake the one that asked for each word takes more than the word."""
        try:
            on_text(text)
        except Exception:
            logger.exception("A text could not be told of")


class SharedProject:
    """The text of one project; see `lsp_server.context.project_reader.ProjectSink`."""

    def __init__(self, engine: SharedEngine, name: str) -> None:
        self._engine, self._name = engine, name

    @property
    def is_due(self) -> bool:
        """Whether enough has changed to be sorted."""
        return bool(self._engine.ask_project(self._name, "is_due"))

    @property
    def cpu_elsewhere_s(self) -> float:
        """CPU time spent in the engine's process, on all our projects."""
        return self._engine.projects_cpu_s

    def replace(self, name: str, text: str) -> bool:
        """Takes a file; False where there is no room for it."""
        return bool(self._engine.ask_project(self._name, "replace", name, text))

    def remove(self, name: str) -> None:
        """Forgets a file."""
        self._engine.tell_project(self._name, "remove", name)

    def clear(self) -> None:
        """Forgets everything; never waits."""
        self._engine.tell_project(self._name, "clear")

    def sort(self) -> None:
        """Sorts all files."""
        self._engine.ask_project(self._name, "sort")


def _project_call(number: int, name: str, call: str, arguments: tuple[str, ...]) -> Message:
    return {"do": wire.PROJECT, "id": number, "name": name, "call": call, "arguments": arguments}
