"""What a process has freed, given back to the system, and what it keeps for later."""

from __future__ import annotations

import ctypes
import sys

_ARENA_MAX = -8  # as malloc.h names it


def give_memory_back() -> None:
    """Gives the system what was freed; glibc would keep a tenth of all that the engine has for later."""
    _of_libc("malloc_trim", 0)


def keep_one_arena() -> None:
    """Has all threads take memory from one place, before there are any: by glibc each has one, with room to spare.

    Python's threads hardly ever ask at the same moment.
    """
    _of_libc("mallopt", _ARENA_MAX, 1)


def _of_libc(name: str, *arguments: int) -> None:
    """Nothing where it is not glibc."""
    if sys.platform == "linux" and (call := getattr(ctypes.CDLL(None), name, None)) is not None:
        call(*arguments)
