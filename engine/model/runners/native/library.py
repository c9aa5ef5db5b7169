"""`load`: the library of kernels, where it was built and this CPU can run it. Knows nothing of what is in it."""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import sys
from pathlib import Path

logger = logging.getLogger(__name__)

LIBRARY = Path(__file__).with_name("green_code_kernels.dll" if sys.platform == "win32" else "green_code_kernels.so")


@functools.cache
def load() -> ctypes.CDLL | None:
    """Loads the library once; None, with the reason in the log, where it cannot be used."""
    if os.environ.get("GREEN_CODE_KERNELS") == "off":  # as when it is built
        logger.info("The native kernels are switched off.")
        return None
    try:
        if _is_stale():
            logger.info("The native kernels are older than their sources; install Green Code again.")
            return None
        library = ctypes.CDLL(str(LIBRARY))
    except OSError as error:
        logger.info("There are no native kernels: %s", error)
        return None
    if not library.green_code_supported():
        logger.info("The native kernels are not for this CPU: they need AVX-512 with VNNI.")
        return None
    return library


def _is_stale() -> bool:
    """Whether sources have changed since: `git pull` brings them to an editable install, but compiles nothing."""
    built = LIBRARY.stat().st_mtime
    sources = [*LIBRARY.parent.glob("*.cpp"), *LIBRARY.parent.glob("*.h")]
    return any(source.stat().st_mtime > built for source in sources)
