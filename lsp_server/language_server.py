"""`GreenCodeServer`: the state of one server, and what changes it.

It wires settings, scheduler, books and status together. It parses no parameters (`lsp_server.handlers`)
and owns no process (`lsp_server.stdio`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from engine.completion.acceptance import ACCEPTANCE
from engine.config import data_dir
from engine.sentences import Sentence
from engine.types import PROJECT_ALONE
from lsp_server.books.books import Books
from lsp_server.books.ledger import LEDGER_FILE, Ledger, Origin
from lsp_server.client_process import ClientProcess
from lsp_server.context import notebooks
from lsp_server.context.documents import OpenDocuments
from lsp_server.context.surroundings import Surroundings
from lsp_server.editor_settings import listen_for_settings, pull_settings
from lsp_server.engine_keeper import EngineKeeper
from lsp_server.jsonrpc import GreenCodeProtocol, make_converter
from lsp_server.progress import LoadProgress
from lsp_server.project import ProjectKeeper
from lsp_server.protocol import NOT_OFFERED, SESSION_ENERGY, STATUS, NotOffered
from lsp_server.rest import Rest
from lsp_server.settings import Settings, engine_config, parse_settings
from lsp_server.settings_entries import SECTION
from lsp_server.status import ServerState, status_of
from lsp_server.suggest.gate import Gate
from lsp_server.suggest.power import read_power
from lsp_server.suggest.quiet import Quiet
from lsp_server.suggest.restraint import Restraint
from lsp_server.suggest.scheduler import CompletionScheduler
from lsp_server.suggest.suggester import Suggester
from lsp_server.translation import translator

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from lsp_server.protocol import SessionEnergy, Status
    from lsp_server.suggest.jobs import Computed
    from lsp_server.suggest.reasons import Reason
    from lsp_server.suggest.seams import CompletionEngine, EngineFactory, Preparation
    from lsp_server.translation import Say

logger = logging.getLogger(__name__)

_NOT_LOADED = Sentence("The model is not loaded yet.")
STOP_TIMEOUT_S = 1.5  # VS Code gives a server two seconds
TELL_BOOKS_AFTER_S = 1.0  # what is booked until then without having been computed is told in one message


class GreenCodeServer(LanguageServer):
    """One language server; several may live in one process.

    Args:
        version: The version of the distribution.
        engine_factory: Called as `engine_factory(config, progress)` on the engine thread, after the handshake, and
            again when the settings ask for another engine.
        prepare: Called as `prepare(config, progress)` on a thread of its own before that, while the engine that is
            there goes on answering.
        ledger_path: The ledger's file; None for the one in the user's data folder.
    """

    protocol: GreenCodeProtocol

    def __init__(
        self, *, version: str, engine_factory: EngineFactory, prepare: Preparation, ledger_path: Path | None
    ) -> None:
        super().__init__(
            name="green-code",
            version=version,
            notebook_document_sync=notebooks.SYNC,
            protocol_cls=GreenCodeProtocol,
            converter_factory=make_converter,
        )
        self.settings = Settings()
        self.state = ServerState()
        ledger = Ledger(ledger_path or data_dir() / LEDGER_FILE)
        self.books = Books(ledger, self._note_books, self._tell_books, lambda: self.project.cpu_s)
        self.project = ProjectKeeper(lambda reading: self.tell(replace(self.state, reading=reading)), self.books.read)
        self.scheduler = CompletionScheduler(
            engine_factory,
            self._note_computed,
            lambda is_busy: self.tell(replace(self.state, busy=is_busy)),
            self._note_lost,
        )
        self.engine_keeper = EngineKeeper(
            self.scheduler,
            prepare,
            tell=self._tell_engine,
            show=lambda: LoadProgress(self, self.say),
            use=self._use_engine,
        )
        acceptance = ACCEPTANCE.find()
        gate = Gate(acceptance.chance, acceptance.mean)
        self.suggester = Suggester(self.scheduler, gate, on_reused=self.books.reused, on_skipped=self.books.skipped)
        self.quiet = Quiet(lambda sentence: self.tell(replace(self.state, snoozed=sentence)))
        self.restraint = Restraint(read_power, lambda: self.books.energy_j, self._note_restraint)
        self.surroundings = Surroundings(
            self.quiet.why_private, is_undecided=self.quiet.is_undecided, on_forgotten=self.suggester.clear
        )
        self.say: Say = str  # in the language of the editor; known from the handshake on
        self.client_process: ClientProcess | None = None  # the editor; known from the handshake on
        self._sent_status: Status | None = None
        self._books_timer: asyncio.TimerHandle | None = None
        self._stopped: asyncio.Task[bool] | None = None
        self.rest = Rest(
            self.engine_keeper.give_back,
            self._load_if_needed,
            after_min=lambda: self.settings.rest_after_minutes,
            is_loading=lambda: self.engine_keeper.is_loading,
        )
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def documents(self) -> OpenDocuments:
        """The open documents."""
        workspace = self.workspace
        assert isinstance(workspace, OpenDocuments)
        return workspace

    def set_up(self, params: types.InitializeParams) -> None:
        """Prepares for the client's documents, settings and language, while `initialize` is answered."""
        self.say = translator(params.locale)
        workspace = self.workspace
        self.protocol.use_workspace(
            OpenDocuments(
                workspace.root_uri,
                workspace_folders=params.workspace_folders or [],
                position_encoding=workspace.position_encoding,
            )
        )
        if params.process_id is not None:
            with contextlib.suppress(ProcessLookupError):  # it cannot be seen from here: nothing to watch
                self.client_process = ClientProcess(params.process_id)
        options = params.initialization_options
        self._use(options.get(SECTION, options) if isinstance(options, dict) else options)

    async def start(self) -> None:
        """Reads the settings the client has and begins to load the engine."""
        _, raw = await asyncio.gather(listen_for_settings(self), pull_settings(self))
        if raw is not None:
            self._use(raw)
        self._load_if_needed()
        self.rest.note_use()
        await asyncio.sleep(0)  # the load begins; what follows takes as long as an engine that is there to answer
        self.books.open()
        self._tell_books()  # so that the energy is known once the engine is

    async def stop(self) -> bool:
        """Cancels what runs, writes the ledger, ends the engine thread; once, however often it is called.

        Returns:
            False when the engine thread is stuck in a load and the process must be ended without it.
        """
        if self._stopped is None:
            self._stopped = asyncio.create_task(self._stop())
        return await asyncio.shield(self._stopped)

    @property
    def is_stopped(self) -> bool:
        """True once `stop` is done."""
        return self._stopped is not None and self._stopped.done()

    @property
    def is_talking(self) -> bool:
        """True while the client may be told things: from its `initialize` until the end begins."""
        return self.protocol.is_initialized and self._stopped is None

    async def _stop(self) -> bool:
        self.engine_keeper.close()
        self.rest.cancel()
        is_idle = await self.scheduler.close(STOP_TIMEOUT_S)
        self.quiet.close()
        self.restraint.close()
        self.project.close()
        for task in self._tasks:
            task.cancel()
        if self._books_timer is not None:
            self._books_timer.cancel()
        self.books.close()
        return is_idle and self.engine_keeper.is_idle

    def apply_settings(self, raw: object) -> None:
        """Takes over changed settings; the engine is loaded anew only where it must be."""
        self._use(raw)
        if not self.rest.is_resting:  # else with the next use: all windows hear of a change in one
            self._load_if_needed()
        self.push_energy()

    async def fetch_settings(self) -> None:
        """Asks the client for the settings, and takes them over."""
        if (raw := await pull_settings(self)) is not None:
            self.apply_settings(raw)

    def note_folders(self) -> None:
        """Takes over the folders of the workspace and what the settings say of files in them."""
        self.quiet.use(self.settings, self.documents.folder_paths)
        self.surroundings.use(self.documents, other_files=self.settings.other_files)
        self.project.use(self.settings, self.documents)

    async def note_document(self, uri: str) -> None:
        """Asks git whether a document that was opened may be read; if not, neither may what is like it."""
        await self.quiet.learn([uri])
        if self.quiet.why_private(uri):
            self.surroundings.visit(uri)

    def push_energy(self) -> None:
        """Tells the client what the session has cost."""
        self._notify(SESSION_ENERGY, self.totals())

    def totals(self) -> SessionEnergy:
        """What the session has cost."""
        green_mode = self.restraint.settings.green_mode
        return self.books.totals(self.say, green_mode=green_mode, layers_total=self.state.layers_total)

    def accept(self, completion_id: str, accepted_chars: int | None) -> None:
        """Books that a completion, or so many characters that were left of it, was accepted."""
        self.suggester.accept(completion_id)
        self.books.accepted(completion_id, accepted_chars)

    def offer_nothing(self, why: Reason | None, *, is_invoked: bool) -> None:
        """Says why there is no suggestion: in the status, and as a hint to whoever asked by hand.

        Args:
            why: None where the status says it already.
            is_invoked: True where it was asked for by hand.
        """
        logger.debug("Nothing is offered: %s", why and why.sentence)
        self.tell(replace(self.state, not_offered=why))
        if is_invoked:
            message = why.sentence if why else status_of(self.state, self.say).message or _NOT_LOADED
            self._notify(NOT_OFFERED, NotOffered(message=self.say(message)))

    def tell(self, state: ServerState) -> None:
        """Takes over new facts, and tells the client if their summary changed."""
        self.state = state
        status = status_of(state, self.say)
        if status != self._sent_status:
            self._sent_status = status
            self._notify(STATUS, status)

    def report_server_error(self, error: Exception, source: object) -> None:
        """Logs what went wrong outside a request; the editor's user can do nothing about it."""
        logger.error("%s", error, exc_info=error)

    def keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Starts work in the background, and keeps it from being collected."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _notify(self, method: str, record: Status | SessionEnergy | NotOffered) -> None:
        if self.is_talking:
            self.protocol.tell(method, record)

    def _use(self, raw: object) -> None:
        before = self.settings
        self.settings, problems = parse_settings(raw)
        if self.settings != before:
            self.suggester.clear()
        self.note_folders()
        self.restraint.use(self.settings)
        for name in ("engine", "lsp_server"):
            logging.getLogger(name).setLevel(self.settings.log_level.upper())
        if problems and problems != self.state.settings_problems:
            logger.warning("%s", " ".join(problems))
            self.keep(self._show(" ".join(map(self.say, problems))))
        self.state = replace(self.state, settings_problems=problems)

    async def _show(self, message: str) -> None:
        self.window_show_message(types.ShowMessageParams(type=types.MessageType.Warning, message=message))
        self.tell(self.state)

    def _load_if_needed(self) -> None:
        self.engine_keeper.want(engine_config(self.settings) if self.settings.enable else None)

    def _note_lost(self, why: str) -> None:
        self.engine_keeper.lose(why)

    def _tell_engine(self, **facts: Any) -> None:  # noqa: ANN401 - each fact is of a type of its own
        self.tell(replace(self.state, **facts))
        if facts.get("engine"):
            self.push_energy()

    def _use_engine(self, engine: CompletionEngine | None) -> None:
        if engine is None:
            self.project.lose_engine()
        else:
            self.project.use_engine(engine.project)

    def _note_computed(self, computed: Computed) -> None:
        self.suggester.keep(computed)
        if computed.request.policy == PROJECT_ALONE and not computed.text:
            return  # nothing was found, and nothing computed
        folder = bytes(self.documents.folder_of(computed.uri) or b"")
        origin = Origin(language_id=computed.request.language_id, folder=folder, engine=self.state.shared_as)
        self.books.computed(computed.completion_id, computed.completion, origin)

    def _note_restraint(self) -> None:
        self.tell(replace(self.state, paused=self.restraint.pause, power=self.restraint.power))
        self.push_energy()

    def _note_books(self) -> None:
        if self._books_timer is None:
            self._books_timer = asyncio.get_running_loop().call_later(TELL_BOOKS_AFTER_S, self._tell_books)

    def _tell_books(self) -> None:
        if self._books_timer is not None:
            self._books_timer.cancel()
            self._books_timer = None
        self.restraint.look()
        if self.books.warning != self.state.ledger_warning:
            self.tell(replace(self.state, ledger_warning=self.books.warning))
        self.push_energy()
