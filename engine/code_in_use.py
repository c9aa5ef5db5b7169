"""`need_code_in_use`: Green Code is not installed anew beneath a process that goes on.

A version may be installed anew, with other code. What such a process would import or start from then on, such as the
engine, would not fit what it has in memory.
"""

from __future__ import annotations

from pathlib import Path

from engine.errors import OutdatedError
from engine.sentences import Sentence


def written_ns(engine: Path) -> int:
    """When the newest was written of what processes say to each other: messages, and the records in them.

    Args:
        engine: The folder of the engine's code.

    Returns:
        Nanoseconds, as files have them; 0 where there is no code.
    """
    files = (file for folder in (engine, engine / "service") for file in folder.glob("*.py"))
    return max((file.stat().st_mtime_ns for file in files), default=0)


WRITTEN_NS = written_ns(Path(__file__).parent)
"""As this process has read it."""


def need_code_in_use() -> None:
    """Does nothing where the files are those that this process has read.

    Raises:
        OutdatedError: If they are others by now.
    """
    try:
        is_outdated = written_ns(Path(__file__).parent) != WRITTEN_NS
    except OSError:  # they are being replaced
        is_outdated = True
    if is_outdated:
        raise OutdatedError(Sentence("Green Code was installed anew while this server ran: restart the server."))
