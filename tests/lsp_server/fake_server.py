"""A real server process around a fake engine: `python -m tests.lsp_server.fake_server LEDGER_FILE [options]`.

`--minute S` has minutes of so many seconds; `--meet FOLDER` shares the fake with the servers that meet there.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from engine.service.opened import open_shared
from lsp_server import rest
from lsp_server.handlers import create_server
from lsp_server.stdio import serve_stdio
from lsp_server.suggest import scheduler
from tests.fakes import load_fake_engine, prepare_fake_engine

LINGER_S = 2.0
HOST = "tests.engine.service.fake_host"
LEFT_ALONE_S = 1.0  # in which an editor asks again, however busy the machine

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--minute", type=float, default=rest.MINUTE_S)
    parser.add_argument("--meet", type=Path)
    options = parser.parse_args()
    rest.MINUTE_S, scheduler.LEFT_ALONE_S = options.minute, LEFT_ALONE_S
    shared = partial(open_shared, folder=options.meet, linger_s=LINGER_S, host=HOST)
    load = load_fake_engine if options.meet is None else shared
    sys.exit(serve_stdio(create_server(load, prepare=prepare_fake_engine, ledger_path=options.ledger)))
