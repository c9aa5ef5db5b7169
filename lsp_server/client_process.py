"""`ClientProcess`: the editor's process, and when it has ended.

A pipe may be held open by a process that the editor left behind, so the end of the input alone does not tell. It ends
nothing itself.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

PERIOD_S = 2.0  # between two looks, where the system tells nobody of an end


class ClientProcess:
    """A process of this machine; it has ended once it has, be it that nobody has asked how.

    Args:
        process_id: Its number. A client in another container names a process that cannot be seen from here.

    Raises:
        ProcessLookupError: There is none.
    """

    def __init__(self, process_id: int) -> None:
        self._end = _end_of(process_id)
        self._process = None if self._end is not None else _looked_at(process_id)

    async def end(self) -> None:
        """Returns once it has ended."""
        if self._end is None:
            while self._process is not None and _is_alive(self._process):
                await asyncio.sleep(PERIOD_S)
            return
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._end, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._end)


def _end_of(process_id: int) -> int | None:
    """What can be read once a process has ended: nothing wakes until then. None where the system has no such thing."""
    if sys.platform == "linux":
        try:
            return os.pidfd_open(process_id)
        except ProcessLookupError:
            raise
        except (OSError, AttributeError, OverflowError):  # an old kernel, a sandbox, or a Python made on one
            pass
    return None


def _looked_at(process_id: int) -> psutil.Process:
    import psutil

    try:
        return psutil.Process(process_id)
    except psutil.Error as error:
        raise ProcessLookupError from error


def _is_alive(process: psutil.Process) -> bool:
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # it may not be looked at, but is there
        return True
