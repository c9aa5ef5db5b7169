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


def load() -> ctypes.CDLL | None:
    """The library, loaded once; None where it cannot be used, with the reason in the log."""
    return _find()[0]


def why_not() -> str | None:
    """Why there are no native kernels, in a sentence; None where there are."""
    return _find()[1]


@functools.cache
def _find() -> tuple[ctypes.CDLL | None, str | None]:
    found = _open()
    if not isinstance(found, str):
        return found, None
    logger.info(found)
    return None, found


def _open() -> ctypes.CDLL | str:
    """The library, or why there is none."""
    if os.environ.get("GREEN_CODE_KERNELS") == "off":  # as when it is built
        return "The native kernels are switched off."
    try:
        if _is_stale():
            return "The native kernels are older than their sources; install Green Code again."
        library = ctypes.CDLL(str(LIBRARY))
    except OSError as error:
        return f"There are no native kernels: {error}."
    if not library.green_code_supported():
        return "The native kernels are not for this CPU: they need AVX-512 with VNNI."
    return library


def _is_stale() -> bool:
    """Whether sources have changed since: `git pull` brings them to an editable install, but compiles nothing."""
    built = LIBRARY.stat().st_mtime
    sources = [*LIBRARY.parent.glob("*.cpp"), *LIBRARY.parent.glob("*.h"), *LIBRARY.parent.glob("hatch_build.py")]
    return any(source.stat().st_mtime > built for source in sources)
