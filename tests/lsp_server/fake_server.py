"""A real server process around a fake engine: `python -m tests.lsp_server.fake_server LEDGER_FILE [REST_AFTER_S]`."""

import sys
from pathlib import Path

from lsp_server import rest
from lsp_server.handlers import create_server
from lsp_server.stdio import serve_stdio
from tests.fakes import load_fake_engine

if __name__ == "__main__":
    if len(sys.argv) > 2:
        rest.AFTER_S = float(sys.argv[2])
    sys.exit(serve_stdio(create_server(load_fake_engine, ledger_path=Path(sys.argv[1]))))
