"""The real server on stdio, with a ledger of its own: `python -I -m lsp_server.replay.serve LEDGER`.

So that a measurement neither reads nor fills the user's books, nor shares the engine of the user's own windows: one is
shared by servers with the same `--meet FOLDER` where their settings say so, else each loads its own. Where joules are
modelled, they are by the shipped prices alone, so that builds and arms are compared by the work that they do; what
their CPUs took meanwhile is told beside it. `--paced` tells what an editor would be told, by the CPU's pace. Nor does
it load what the real server does not.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lsp_server.serving import serve_with
from lsp_server.suggest.seams import nothing_to_prepare

if TYPE_CHECKING:
    from engine.config import EngineConfig
    from engine.types import ProgressSink
    from lsp_server.suggest.seams import CompletionEngine

LINGER_S = 1.0

if __name__ == "__main__":
    parser = ArgumentParser()
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--meet", type=Path)
    parser.add_argument("--paced", action="store_true")
    arguments = parser.parse_args()

    def load(config: EngineConfig, progress: ProgressSink) -> CompletionEngine:
        """Loads an engine, or comes to the shared one."""
        config = replace(config, is_paced=arguments.paced)
        if config.shared and arguments.meet is not None:
            from engine.service.opened import open_shared

            return open_shared(config, progress, folder=arguments.meet, linger_s=LINGER_S)
        from engine.engine import load_engine  # a server that shares has none of it in memory

        return load_engine(config, progress=progress)

    sys.exit(serve_with(lambda: (load, nothing_to_prepare), ledger_path=arguments.ledger))
