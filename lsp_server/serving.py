"""`serve`: the language server as editors start it. It imports what a server needs, and nothing of the command line."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

from engine.errors import EngineError
from engine.late_functions import make_late
from lsp_server.unread import end_if_unread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lsp_server.suggest.seams import EngineFactory, Preparation


def serve(*, in_process: bool = False) -> int:
    """Serves on stdin and stdout until the client is gone; gives the exit code.

    Args:
        in_process: Whether the model is loaded here, whatever the settings say.
    """

    def engines() -> tuple[EngineFactory, Preparation]:
        from lsp_server.engines import Engines, prepare, take_token

        return Engines(take_token(), may_share=not in_process).load, prepare

    return serve_with(engines)


def serve_with(engines: Callable[[], tuple[EngineFactory, Preparation]], *, ledger_path: Path | None = None) -> int:
    """The same.

    Args:
        engines: Gives what loads an engine, and what prepares one; called once what everybody needs is imported.
        ledger_path: The ledger's file; None for the one in the user's data folder.

    Raises:
        EngineError: Its input or its output is closed.
    """
    _need_streams()
    is_serving = end_if_unread()
    gc.disable()  # hardly any of what is imported is garbage: to look for it takes a tenth of the start
    make_late()
    from lsp_server.late_records import import_late

    import_late()
    from lsp_server.handlers import create_server
    from lsp_server.stdio import serve_stdio

    engine_factory, prepare = engines()
    server = create_server(engine_factory, prepare=prepare, ledger_path=ledger_path)
    gc.freeze()  # nor will it ever be
    gc.enable()
    is_serving.set()
    return serve_stdio(server)


def _need_streams() -> None:
    """Looks before any file is opened, which would take a closed one's number."""
    try:
        os.fstat(0), os.fstat(1)
    except OSError as error:
        sentence = "the server speaks with an editor over its standard input and output, and one of them is closed."
        raise EngineError(sentence) from error
