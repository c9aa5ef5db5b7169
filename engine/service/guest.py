"""`Guest`: one server at the shared engine: its requests, its projects, and what it is told.

Nothing of a guest reaches another: its projects carry its number, and go with it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import EngineError, EngineLostError, in_short
from engine.sentences import Sentence
from engine.service import wire
from engine.service.known_text import KnownText
from engine.service.wire import error_message, request_of
from engine.types import PROJECT_ALONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.project.project_text import ProjectText
    from engine.service.link import Link
    from engine.service.turns import Turns
    from engine.service.wire import Message
    from engine.types import CancellationToken, Completion, CompletionRequest, Meanwhile

logger = logging.getLogger(__name__)

_PROJECT_NICENESS = 15
_MOST_WAITING = 1000  # messages; a server that reads none of them is told no news any more
_SHORT_TOKENS = 64  # that take as long to read as a suggestion to decode
_PROJECT_CALLS = {"is_due", "replace", "remove", "clear", "sort"}


class HostedEngine(Protocol):
    """What guests need of `engine.engine.Engine`, and the host beside it."""

    @property
    def model_name(self) -> str: ...  # noqa: D102
    @property
    def device_name(self) -> str: ...  # noqa: D102
    @property
    def layers_total(self) -> int: ...  # noqa: D102
    @property
    def energy_source(self) -> str: ...  # noqa: D102
    @property
    def meters_refused(self) -> tuple[str, ...]: ...  # noqa: D102

    def complete(
        self,
        request: CompletionRequest,
        *,
        cancellation: CancellationToken,
        meanwhile: Meanwhile,
        on_text: Callable[[str], None],
    ) -> Completion:
        """Blocks until the text is there."""
        ...

    def n_unread(self, request: CompletionRequest) -> int:
        """How many tokens of a prompt would have to be read; on the thread that completes."""
        ...

    def complete_from_project(self, request: CompletionRequest) -> Completion:
        """Completes by the project alone; while another thread completes."""
        ...

    def project(self, name: str) -> ProjectText:
        """The text of a project."""
        ...

    def use_windows(self, count: int) -> None:
        """So many places are worked at in turns."""
        ...

    def close(self) -> None:
        """Gives back memory and meters."""
        ...


class _Cancellation:
    """Set where messages are read, polled where the engine computes."""

    is_cancelled = False


class GuestRequest:
    """One request, to be called when its turn has come.

    Args:
        number: Its guest's.
        request: What is asked.
        answer: Called with this.
    """

    def __init__(self, number: int, request: CompletionRequest, answer: Callable[[GuestRequest], None]) -> None:
        self.number, self.request, self._answer = number, request, answer
        self.cancellation = _Cancellation()
        self._is_short: bool | None = None

    def __call__(self) -> None:
        """Answers it."""
        self._answer(self)

    def is_short(self, engine: HostedEngine) -> bool:
        """Whether the model has read most of its prompt already; told once, on the engine's thread."""
        if self._is_short is None:
            self._is_short = False
            with contextlib.suppress(Exception):  # which its own turn will tell
                self._is_short = engine.n_unread(self.request) <= _SHORT_TOKENS
        return self._is_short


class Guest:
    """One server.

    Args:
        link: To it.
        turns: For what the engine's thread has to do.
        asking_project: Held while a project alone is asked, which takes a moment and waits for nobody's turn.
        number: No other guest's.
        engine: Gives the engine, once it is loaded.
        meanwhile: Gives what may be done while a long prompt is read.
        on_open: Called where it asks for the engine.
    """

    def __init__(
        self,
        link: Link,
        turns: Turns[Guest],
        asking_project: threading.Lock,
        number: int,
        *,
        engine: Callable[[], HostedEngine],
        meanwhile: Meanwhile,
        on_open: Callable[[Guest, Message], None],
    ) -> None:
        self.number = number
        self._link, self._turns, self._asking_project = link, turns, asking_project
        self._engine, self._meanwhile, self._on_open = engine, meanwhile, on_open
        self._text = KnownText()
        self._running: dict[int, GuestRequest] = {}
        self._lock = threading.Lock()
        self._projects: set[str] = set()
        self._project_work: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._project_thread: threading.Thread | None = None

    def serve(self) -> None:
        """Reads its messages until it goes; leaves nothing of it behind."""
        try:
            while (message := self._link.receive()) is not None:
                self._take(message)
        except Exception:  # a message of nonsense is nobody else's trouble
            logger.exception("A server's message could not be handled")
        self._link.close()
        with self._lock:
            for asked in self._running.values():
                asked.cancellation.is_cancelled = True
        self._project_work.put(None)
        if self._project_thread is not None:
            self._project_thread.join()

    def hang_up(self) -> None:
        """Ends the connection, behind what it was told."""
        self._link.close()

    def wait_until_gone(self, timeout_s: float) -> None:
        """Waits until it has been told everything, if it listens."""
        self._link.wait_until_closed(timeout_s)

    def tell(self, message: Message) -> None:
        """Tells it something that an answer depends on."""
        self._link.post(message)

    def tell_news(self, message: Message) -> None:
        """Tells it something that may get lost where it does not listen."""
        if self._link.n_waiting < _MOST_WAITING:
            self._link.post(message)

    def _take(self, message: Message) -> None:
        match message["do"]:
            case wire.OPEN:
                self._on_open(self, message)
            case wire.COMPLETE:
                self._ask(message["id"], self._text.restored(request_of(message["request"]), message["kept"]))
            case wire.CANCEL:
                self._cancel(message["id"])
            case wire.PROJECT if message["call"] in _PROJECT_CALLS:
                if self._project_thread is None:
                    self._project_thread = threading.Thread(target=self._fill, name="project", daemon=True)
                    self._project_thread.start()
                self._project_work.put(message)
            case unknown:
                raise ValueError(unknown)

    def _ask(self, number: int, request: CompletionRequest) -> None:
        if (document := request.in_project) is not None:
            request = replace(request, in_project=replace(document, project=self._own(document.project)))
        asked = GuestRequest(number, request, self._complete)
        with self._lock:
            self._running[number] = asked
        if request.policy == PROJECT_ALONE:
            with self._asking_project:  # here and now: to wake another thread may take longer
                self._complete(asked)
        else:
            self._turns.put(self, asked)

    def _cancel(self, number: int) -> None:
        with self._lock:
            asked = self._running.get(number)
        if asked is None:
            return  # it has just been answered
        asked.cancellation.is_cancelled = True
        if self._turns.withdraw(self, asked):
            self._end(number, {"is": wire.WITHDRAWN, "id": number})

    def _complete(self, asked: GuestRequest) -> None:
        """On the engine's thread; for a project alone, on the one that reads."""
        number, request, cancellation = asked.number, asked.request, asked.cancellation
        if cancellation.is_cancelled:
            self._end(number, {"is": wire.WITHDRAWN, "id": number})
            return

        def on_text(text: str) -> None:
            self._link.post({"is": wire.TEXT, "id": number, "text": text})

        try:
            engine = self._engine()
            if request.policy == PROJECT_ALONE:
                completion = engine.complete_from_project(request)  # it is there before anybody could read how it grows
            else:
                on_text("")  # its turn has come
                engine.use_windows(len(self._turns.guests))
                completion = engine.complete(
                    request, cancellation=cancellation, meanwhile=self._meanwhile, on_text=on_text
                )
        except EngineLostError as error:
            logger.warning("%s", error)
            self._end(number, error_message(error, number))
            self._turns.end()  # the next process loads it
        except EngineError as error:
            self._end(number, error_message(error, number))
        except Exception as error:
            logger.exception("A completion failed")
            self._end(number, error_message(EngineError(_fault(error)), number))
        else:
            self._end(number, {"is": wire.DONE, "id": number, "completion": completion})

    def _end(self, number: int, message: Message) -> None:
        with self._lock:
            self._running.pop(number, None)
        self._link.post(message)

    def _own(self, project: str) -> str:
        return f"{self.number}/{project}"

    def _fill(self) -> None:
        """In a thread of its own, as projects are read."""
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _PROJECT_NICENESS)
        while (message := self._project_work.get()) is not None:
            answer: Message = {"is": wire.VALUE, "id": message["id"]}
            try:
                answer["value"] = self._project_value(message["name"], message["call"], message["arguments"])
                answer["cpu_s"] = time.thread_time()
            except Exception as error:
                logger.exception("A project could not be read")
                answer = error_message(EngineError(_fault(error)), message["id"])
            if message["id"]:
                self._link.post(answer)
        for name in self._projects:
            self._engine().project(name).clear()

    def _project_value(self, name: str, call: str, arguments: list[str]) -> Any:  # noqa: ANN401 - any JSON
        self._projects.add(self._own(name))
        project = self._engine().project(self._own(name))
        return project.is_due if call == "is_due" else getattr(project, call)(*arguments)


def _fault(error: Exception) -> Sentence:
    return Sentence("The engine failed ({what}); its log has the details.", what=in_short(error))
