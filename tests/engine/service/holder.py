"""A server's process that asks and waits: `python -m tests.engine.service.holder FOLDER PREFIX`."""

import sys
from pathlib import Path

from engine.service.opened import open_shared
from engine.types import CompletionRequest, no_progress
from lsp_server.suggest.seams import CancellationEvent
from tests.engine.service.hosted import SHARED
from tests.engine.service.processes import HOST, LINGER_S

if __name__ == "__main__":
    engine = open_shared(SHARED, no_progress, folder=Path(sys.argv[1]), host=HOST, linger_s=LINGER_S)
    sys.stdout.write(engine.model_name + "\n")
    sys.stdout.flush()
    engine.complete(CompletionRequest(prefix=sys.argv[2]), cancellation=CancellationEvent(), on_text=lambda _: None)
