"""`Engines`: those that a server may have: one in its own process, the one that all windows share, or one elsewhere.

What they import is imported once an engine is asked for: the editor's first questions are answered before.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import TYPE_CHECKING

from engine.code_in_use import need_code_in_use
from engine.errors import SharingError
from engine.sentences import Sentence
from lsp_server.suggest.scheduler import give_way_to_the_editor

if TYPE_CHECKING:
    from engine.config import EngineConfig
    from engine.types import ProgressSink
    from lsp_server.suggest.seams import CompletionEngine

logger = logging.getLogger(__name__)

TOKEN_VARIABLE = "GREEN_CODE_REMOTE_TOKEN"  # noqa: S105 - a name


def take_token() -> str:
    """What a completion server elsewhere knows the user by; no program that is started from here gets to see it."""
    return os.environ.pop(TOKEN_VARIABLE, "").strip()


class Engines:
    """The engines of one server.

    Args:
        token: What a completion server elsewhere knows the user by.
        may_share: Whether an engine is shared where the configuration says so.
    """

    def __init__(self, token: str, *, may_share: bool) -> None:
        self._token, self._may_share = token, may_share

    def load(self, config: EngineConfig, progress: ProgressSink) -> CompletionEngine:
        """Loads what the configuration says; where it says that an engine is shared and it cannot be, one for here.

        Raises:
            OutdatedError: Before it imports or starts what would not fit the code of this process.
            EngineError: What loading raises.
        """
        need_code_in_use()
        if config.remote_url:
            from engine.remote.remote_engine import load_remote_engine

            return load_remote_engine(config, token=self._token, progress=progress)
        if config.shared and self._may_share:
            from engine.service.opened import open_shared

            try:
                return open_shared(config, progress)
            except SharingError as error:
                logger.warning("%s So the model is loaded for this window alone.", error)
                give_way_to_the_editor()
        from engine.engine import load_engine

        return load_engine(config, progress=progress)


def prepare(config: EngineConfig, progress: ProgressSink) -> None:
    """Fetches and prepares what an engine here needs, in a process of its own.

    Raises:
        EngineError: What that raises.
    """
    need_code_in_use()
    from engine.model.sources.apart import run_apart

    run_apart(
        partial(_prepare_here, config),
        task=Sentence("prepares the model {name}", name=config.model),
        progress=progress,
    )


def _prepare_here(config: EngineConfig, *, progress: ProgressSink) -> None:
    from engine.model.loading import prepare_model
    from engine.model.sources.store import resolve_model

    files = resolve_model(config.model, progress=progress)
    prepare_model(files.name, files.path, config, progress=progress)
