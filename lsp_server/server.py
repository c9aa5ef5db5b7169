"""`create_server`: a language server around an engine. Start reading here.

It registers one handler per message and decides nothing.
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from lsprotocol import types

from lsp_server import handlers, protocol
from lsp_server.language_server import GreenCodeServer

if TYPE_CHECKING:
    from pathlib import Path

    from lsp_server.suggest.seams import EngineFactory

DISTRIBUTION = "green-code"


def create_server(engine_factory: EngineFactory, *, ledger_path: Path | None = None) -> GreenCodeServer:
    """Builds a server that has not begun to listen; `lsp_server.stdio.serve_stdio` runs it.

    Args:
        engine_factory: Called as `engine_factory(config, progress)` on the engine thread, after the handshake,
            and again when the settings ask for another engine.
        ledger_path: The ledger's file; None for the one in the user's data folder.
    """
    server = GreenCodeServer(version=_version(), engine_factory=engine_factory, ledger_path=ledger_path)
    server.feature(types.INITIALIZE)(handlers.initialize)
    server.feature(types.INITIALIZED)(handlers.initialized)
    server.feature(types.SHUTDOWN)(handlers.shutdown)
    server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)(handlers.did_change_configuration)
    server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(handlers.did_change_folders)
    server.feature(types.TEXT_DOCUMENT_DID_OPEN)(handlers.did_open)
    server.feature(types.TEXT_DOCUMENT_DID_CHANGE)(handlers.did_change)
    server.feature(types.TEXT_DOCUMENT_DID_SAVE)(handlers.did_save)
    server.feature(types.TEXT_DOCUMENT_DID_CLOSE)(handlers.did_close)
    # Without the options pygls announces no inline completion, and no client asks.
    server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())(handlers.inline_completion)
    server.command(protocol.DID_ACCEPT)(handlers.did_accept)
    server.feature(protocol.RESET_SESSION)(handlers.reset_session)
    server.feature(protocol.SNOOZE)(handlers.snooze)
    server.feature(protocol.HISTORY)(handlers.history)
    return server


def _version() -> str:
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:  # run from a source folder
        return "0+source"
