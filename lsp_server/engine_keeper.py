"""`EngineKeeper`: has the engine that the settings ask for: loads it, tries again, replaces it, gives it back.

While another one is fetched and prepared, which may take minutes, the engine that is there goes on answering. It knows
no document and no protocol: what people are told of the engine goes to whoever made the keeper.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import EngineError, OutdatedError, TorchMissingError
from engine.sentences import Sentence, joined
from lsp_server.progress import as_sentence
from lsp_server.retries import Retries
from lsp_server.status import engine_facts
from lsp_server.suggest.scheduler import reporting

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.config import EngineConfig
    from engine.types import ProgressSink
    from lsp_server.progress import LoadProgress
    from lsp_server.protocol import Remedy
    from lsp_server.suggest.scheduler import CompletionScheduler
    from lsp_server.suggest.seams import CompletionEngine, Preparation

logger = logging.getLogger(__name__)


class Tell(Protocol):
    """Takes over facts of the `ServerState`, by their names there."""

    def __call__(self, **facts: Any) -> None:  # noqa: ANN401 - each fact is of a type of its own
        """Tells whoever shows the state."""
        ...


class EngineKeeper:
    """Keeps one engine at most. Belongs to the event loop.

    Args:
        scheduler: Runs the engine.
        prepare: Has on the disk what an engine needs, before the one that is there is given up for it.
        tell: Is told what is loaded, or being loaded, or why nothing is.
        show: Makes the bar of one load.
        use: Called with an engine that is ready, and with None before it goes.
    """

    def __init__(
        self,
        scheduler: CompletionScheduler,
        prepare: Preparation,
        *,
        tell: Tell,
        show: Callable[[], LoadProgress],
        use: Callable[[CompletionEngine | None], None],
    ) -> None:
        self._scheduler, self._prepare = scheduler, prepare
        self._tell, self._show, self._use = tell, show, use
        self._wanted: EngineConfig | None = None
        self._serving: EngineConfig | None = None
        self._has_failed = False
        self._retries = Retries(self._again)
        self._task: asyncio.Task[None] | None = None
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prepare")
        self._is_preparing = False  # set on that thread

    def want(self, config: EngineConfig | None) -> None:
        """Loads an engine where it is not the one that is there, or has failed; None gives the memory back."""
        if config is None:
            self.give_back()
        elif config != self._wanted or self._has_failed:
            self._begin(config)
        else:
            self._tell()

    def give_back(self) -> None:
        """Gives back what an engine takes, where nobody wants one."""
        self._stop()
        self._drop(load_failure="", remedy="none", loading="")
        if self._wanted is not None:
            self._wanted = None
            self._task = asyncio.create_task(self._scheduler.unload())

    def lose(self, why: str) -> None:
        """Loads anew, soon, an engine that can answer no more."""
        self._drop(loading=why)
        self._retries.after_loss()

    def try_again(self) -> None:
        """Loads once more, because somebody asks, where that has failed."""
        if self._has_failed:
            self._retries.by_hand()

    def close(self) -> None:
        """Begins nothing any more, and gives up what is under way."""
        self._stop()
        self._executor.shutdown(wait=False)

    @property
    def is_loading(self) -> bool:
        """Whether an engine is on its way."""
        return self._task is not None and not self._task.done()

    @property
    def is_idle(self) -> bool:
        """False while an engine is still prepared, which may have been given up."""
        return not self._is_preparing

    def _begin(self, config: EngineConfig) -> None:
        self._stop()
        self._wanted = config
        goes_on = self._serving is not None and not self._serving.remote_url and not config.remote_url
        tell = self._tell if goes_on else self._drop
        tell(load_failure="", remedy="none", loading=config.first_step)
        self._task = asyncio.create_task(self._load(config, prepares_first=goes_on))

    def _again(self) -> None:
        if self._wanted is not None:
            self._begin(self._wanted)

    def _stop(self) -> None:
        self._retries.cancel()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _drop(self, **facts: Any) -> None:  # noqa: ANN401 - each fact is of a type of its own
        """Has no engine any more, and tells so with what else is to be told."""
        self._serving = None
        self._has_failed = False
        self._use(None)
        self._tell(engine=None, **facts)

    async def _load(self, config: EngineConfig, *, prepares_first: bool) -> None:
        bar = self._show()
        try:
            if prepares_first:
                sink = self._sink(config, bar, Sentence("Until then suggestions come from the model that is loaded."))
                await reporting(self._executor, lambda told, _: self._prepare_beside(config, told), sink)
                self._drop()
            engine = await self._scheduler.load(config, self._sink(config, bar))
        except EngineError as error:
            logger.error("%s", error)  # noqa: TRY400 - one sentence; the trace is logged where it is of use
            failure = joined((error.sentence, self._retries.plan(error)))
            self._drop(loading="", load_failure=failure, remedy=_remedy_for(error))
            self._has_failed = True
            await self._scheduler.unload()
        else:
            self._serving = config
            self._retries.succeeded()
            logger.info("%s is ready on %s", engine.model_name, engine.device_name)
            self._use(engine)
            self._tell(engine=engine_facts(engine), loading="")
        finally:
            bar.end()

    def _prepare_beside(self, config: EngineConfig, progress: ProgressSink) -> None:
        self._is_preparing = True
        try:
            self._prepare(config, progress)
        finally:
            self._is_preparing = False

    def _sink(self, config: EngineConfig, bar: LoadProgress, meanwhile: str = "") -> ProgressSink:
        def show(message: str, done: int, total: int | None) -> None:
            if self._wanted is config:
                self._tell(loading=joined((as_sentence(message, done, total), meanwhile)))
                bar.report(message, done, total)

        return show


def _remedy_for(error: EngineError) -> Remedy:
    if isinstance(error, TorchMissingError):
        return "torch"
    return "restart" if isinstance(error, OutdatedError) else "none"
