"""The real server on stdio, with a ledger of its own: `python -I -m lsp_server.replay.serve LEDGER_FILE`.

So that a measurement neither reads nor fills the user's books.
"""

from __future__ import annotations

import sys
from pathlib import Path

from engine.engine import load_engine
from lsp_server.handlers import create_server
from lsp_server.stdio import serve_stdio

if __name__ == "__main__":
    server = create_server(
        lambda config, progress: load_engine(config, progress=progress), ledger_path=Path(sys.argv[1])
    )
    sys.exit(serve_stdio(server))
