"""`EngineHost`: one engine, and the servers that share it. It loads with the first, and ends some time after the last.

One thread computes, the one that `serve` is called on, and one reads what each server says; nothing is polled. It owns
no process and no file.
"""

from __future__ import annotations

import itertools
import logging
import secrets
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from engine.errors import EngineError, SharingError, in_short
from engine.sentences import Sentence, as_data
from engine.service import wire
from engine.service.guest import Guest, GuestRequest
from engine.service.link import Link
from engine.service.turns import Turns
from engine.service.wire import SharedFacts, config_of, error_message

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from engine.config import EngineConfig
    from engine.service.endpoint import Door
    from engine.service.guest import HostedEngine
    from engine.service.wire import Message
    from engine.types import ProgressSink

    Load = Callable[[EngineConfig, ProgressSink], HostedEngine]

logger = logging.getLogger(__name__)

_LAST_WORDS_S = 1.0  # for all guests, of whom some may not listen


class _NobodyWaitsError(Exception):
    """Raised inside a load to end it."""


class EngineHost:
    """One engine for all who come through a door.

    Args:
        load: Loads the engine.
        door: Where servers come in.
        linger_s: How long it stays when there are none.
        at_rest: Called once each time that nobody has asked for anything for a second.
    """

    def __init__(self, load: Load, door: Door, *, linger_s: float, at_rest: Callable[[], None] | None = None) -> None:
        self._load, self._door = load, door
        self._turns: Turns[Guest] = Turns(linger_s, at_rest)
        self._asking_project = threading.Lock()
        self._name = secrets.token_hex(8)
        self._engine: HostedEngine | None = None
        self._config: EngineConfig | None = None
        self._loading: set[Guest] = set()  # who waits for the engine
        self._numbers: set[int] = set()
        self._lock = threading.Lock()
        self._is_between = False  # two segments of a long prompt

    def open_door(self) -> None:
        """Lets servers in, in threads of their own; to be called before `serve`."""
        threading.Thread(target=self._let_in, name="door", daemon=True).start()

    def serve(self) -> None:
        """Computes what servers ask for, until none has been there for long, or `end` is called."""
        while (work := self._turns.take()) is not None:
            work()
        self._door.close()
        guests, end_s = self._turns.guests, time.monotonic() + _LAST_WORDS_S
        for guest in guests:
            guest.hang_up()
        for guest in guests:  # behind this the process ends
            guest.wait_until_gone(max(0.0, end_s - time.monotonic()))
        if self._engine is not None:
            self._engine.close()

    def end(self) -> None:
        """Ends behind what is being computed; from any thread."""
        self._turns.end()

    def tell_all(self, message: Message) -> None:
        """Tells every server some news."""
        for guest in self._turns.guests:
            guest.tell_news(message)

    def _short_work(self) -> Callable[[], None] | None:
        """While a long prompt is read, who needs little comes in between; not while one of those is served."""
        if self._is_between:
            return None
        engine = self._loaded()
        work = self._turns.take_some(lambda work: isinstance(work, GuestRequest) and work.is_short(engine))
        return None if work is None else partial(self._do_between, work)

    def _do_between(self, work: Callable[[], None]) -> None:
        self._is_between = True
        try:
            work()
        finally:
            self._is_between = False

    def _let_in(self) -> None:
        while (connection := self._door.wait()) is not None:
            threading.Thread(target=self._welcome, args=(connection,), name="guest", daemon=True).start()

    def _welcome(self, connection: Connection) -> None:
        """In a thread for each: who does not answer keeps nobody else waiting."""
        if not self._door.admits(connection):
            return
        with self._lock:
            number = next(number for number in itertools.count() if number not in self._numbers)
            self._numbers.add(number)
        guest = Guest(
            Link(connection),
            self._turns,
            self._asking_project,
            number,
            engine=self._loaded,
            meanwhile=self._short_work,
            on_open=self._open,
        )
        if not self._turns.join(guest):
            guest.hang_up()
        try:
            guest.serve()
        finally:
            self._turns.leave(guest)
            with self._lock:
                self._loading.discard(guest)
                self._numbers.discard(number)

    def _loaded(self) -> HostedEngine:
        if self._engine is None:
            raise EngineError("The engine is asked for before anything else.")
        return self._engine

    def _open(self, guest: Guest, message: Message) -> None:
        make_ready = partial(self._make_ready, guest, config_of(message["config"]))
        if self._engine is not None:
            make_ready()  # whoever comes to a loaded engine waits for nobody's turn
            return
        with self._lock:
            self._loading.add(guest)
        self._turns.put(guest, make_ready)

    def _make_ready(self, guest: Guest, config: EngineConfig) -> None:
        """On the engine's thread, unless the engine is there."""
        try:
            self._load_once(config)
        except _NobodyWaitsError:
            logger.info("Nobody waits for the model any more.")
        except EngineError as error:
            guest.tell(error_message(error, 0))
        except Exception as error:
            logger.exception("The model %s could not be loaded", config.model)
            sentence = Sentence(
                "The model {model} could not be loaded ({reason}); the log has the details.",
                model=config.model,
                reason=in_short(error),
            )
            guest.tell(error_message(EngineError(sentence), 0))
        else:
            engine = self._loaded()
            facts = SharedFacts(
                shared_as=self._name,
                model_name=engine.model_name,
                device_name=engine.device_name,
                layers_total=engine.layers_total,
                energy_source=engine.energy_source,
                meters_refused=engine.meters_refused,
            )
            guest.tell({"is": wire.READY, "facts": facts})
        finally:
            with self._lock:
                self._loading.discard(guest)

    def _load_once(self, config: EngineConfig) -> None:
        if self._engine is None:
            self._engine, self._config = self._load(config, self._progress), config
        elif config != self._config:
            raise SharingError("Another engine is at this place.")

    def _progress(self, message: str, done: int, total: int | None) -> None:
        with self._lock:
            waiting = tuple(self._loading)
        if not waiting:
            raise _NobodyWaitsError
        for guest in waiting:
            guest.tell_news({"is": wire.PROGRESS, "message": as_data(message), "done": done, "total": total})
