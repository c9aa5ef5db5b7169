"""An engine's process that is killed as soon as it listens, the first time in a folder."""

import json
import os
import signal
import sys
from pathlib import Path

from engine.service.host import EngineHost
from engine.service.process import run
from tests.fakes import load_fake_engine


def main() -> None:
    """Dies, or serves a fake."""
    mark = Path(json.loads(sys.argv[1])["folder"], "died")
    if not mark.exists():
        mark.touch()
        EngineHost.open_door = _die  # type: ignore[assignment,method-assign]
    run(load_fake_engine)


def _die(_: EngineHost) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
