"""`load`: the library of kernels, where it was built and this CPU can run it. Knows nothing of what is in it.

It is built for several sets of instructions, from the same sources; they compute the same numbers, to the last bit.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from engine.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.types import Runtime

logger = logging.getLogger(__name__)

Instructions = Literal["amx", "avx512", "avxvnni", "avx2"]
"""Sets that there are kernels for, the fastest first: AVX-512 with VNNI and AMX (Intel's Xeons since 2023, on Linux),
without AMX, AVX2 with VNNI (Intel's CPUs for PCs since 2021), and what PCs of the last ten years have."""

RUNTIMES: Mapping[Instructions, Runtime] = {
    "amx": "native-amx",
    "avx512": "native",
    "avxvnni": "native-avxvnni",
    "avx2": "native-avx2",
}
"""What computes, by the instructions that the kernels are compiled to."""

FOLDER = Path(__file__).parent
_SUFFIX = ".dll" if sys.platform == "win32" else ".so"


@dataclass(frozen=True, slots=True)
class _Kernels:
    library: ctypes.CDLL
    instructions: Instructions


def load() -> ctypes.CDLL | None:
    """The library, loaded once; None where it cannot be used, with the reason in the log."""
    found = _find()
    return None if isinstance(found, str) else found.library


def instructions() -> Instructions | None:
    """What the loaded library is compiled to; None where there is none."""
    found = _find()
    return None if isinstance(found, str) else found.instructions


def why_not() -> str | None:
    """Why there are no native kernels, in a sentence; None where there are."""
    found = _find()
    return found if isinstance(found, str) else None


def library_file(wanted: Instructions) -> Path:
    """Where the library for these instructions lies once it is built."""
    return FOLDER / f"green_code_kernels_{wanted}{_SUFFIX}"


@functools.cache
def _find() -> _Kernels | str:
    """The kernels, or why there are none."""
    switch = os.environ.get("GREEN_CODE_KERNELS")  # "off", as when they are built, or one set, to try it
    if switch == "off":
        found: _Kernels | str = Sentence("The native kernels are switched off.")
    else:
        every: tuple[Instructions, ...] = get_args(Instructions)
        found = _open([one for one in every if one == switch] or every)
    if isinstance(found, str):
        logger.info(found)
    return found


def _open(wanted: Sequence[Instructions]) -> _Kernels | str:
    refused = Sentence("The native kernels are not for this CPU: it lacks AVX2 or what goes with it.")
    for one in wanted:
        path = library_file(one)
        try:
            if _is_stale(path):
                return Sentence("The native kernels are older than their sources; install Green Code again.")
            library = ctypes.CDLL(str(path))
        except OSError as error:
            refused = Sentence("There are no native kernels: {error}.", error=error)
            continue
        if library.green_code_supported():
            return _Kernels(library, one)
    return refused


def _is_stale(library: Path) -> bool:
    """Whether sources have changed since: `git pull` brings them to an editable install, but compiles nothing."""
    built = library.stat().st_mtime
    sources = [*FOLDER.glob("*.cpp"), *FOLDER.glob("*.h"), *FOLDER.glob("hatch_build.py")]
    return any(source.stat().st_mtime > built for source in sources)
