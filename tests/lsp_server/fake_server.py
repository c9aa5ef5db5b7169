"""A real server process around a fake engine: `python -m tests.lsp_server.fake_server LEDGER_FILE [options]`.

`--minute S` has minutes of so many seconds; `--meet FOLDER` shares the fake with the servers that meet there.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lsp_server.serving import serve_with

if TYPE_CHECKING:
    from lsp_server.suggest.seams import EngineFactory, Preparation

LINGER_S = 2.0
HOST = "tests.engine.service.fake_host"
LEFT_ALONE_S = 1.0  # in which an editor asks again, however busy the machine

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--minute", type=float)
    parser.add_argument("--meet", type=Path)
    options = parser.parse_args()

    def engines() -> "tuple[EngineFactory, Preparation]":
        """The fakes, imported when the real ones would be."""
        from engine.service.opened import open_shared
        from lsp_server import rest
        from lsp_server.suggest import scheduler
        from tests.fakes import load_fake_engine, prepare_fake_engine

        rest.MINUTE_S, scheduler.LEFT_ALONE_S = options.minute or rest.MINUTE_S, LEFT_ALONE_S
        shared = partial(open_shared, folder=options.meet, linger_s=LINGER_S, host=HOST)
        return load_fake_engine if options.meet is None else shared, prepare_fake_engine

    sys.exit(serve_with(engines, ledger_path=options.ledger))
