"""`serve`: the language server as editors start it. It imports what a server needs, and nothing of the command line."""

from __future__ import annotations

from lsp_server.late_records import import_late


def serve(*, in_process: bool = False) -> int:
    """Serves on stdin and stdout until the client is gone; gives the exit code.

    Args:
        in_process: Whether the model is loaded here, whatever the settings say.
    """
    import_late()
    from lsp_server.engines import Engines, take_token
    from lsp_server.handlers import create_server
    from lsp_server.stdio import serve_stdio

    engines = Engines(take_token(), may_share=not in_process)
    return serve_stdio(create_server(engines.load))
