"""A process together with all that it has started: ended at once, and their CPU time. Knows nothing of what they do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

_PATIENCE_S = 10.0  # with one that is killed and does not end: a driver holds it


def end_all(process: subprocess.Popen[bytes], *, grace_s: float = 0.0) -> None:
    """Ends a process with all that it has started, and waits for it; not for ever, where the system cannot end it.

    Args:
        process: Where it was given a session to itself, what it has left behind ends as well.
        grace_s: How long it may take to end by itself once it is asked to; 0 asks nothing.
    """
    import psutil

    started = [] if process.poll() is not None else _started_by(process.pid)  # the number may be another's by now
    if grace_s > 0:
        _signal(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows has but one, which kills
    for child in started:
        with suppress(psutil.Error):
            child.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE_S)


def cpu_s_of(process_id: int) -> float:
    """CPU seconds of a process and of all that it has started, in steps of the kernel's clock.

    Raises:
        psutil.Error: It is gone, or may not be looked at.
    """
    import psutil

    first = psutil.Process(process_id)
    started = first.children(recursive=True)
    own = first.cpu_times()
    taken = float(own.user + own.system + own.children_user + own.children_system)  # of those that have ended as well
    for child in started:
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            taken += times.user + times.system
    return taken


def _started_by(process_id: int) -> list[psutil.Process]:
    import psutil

    try:
        return psutil.Process(process_id).children(recursive=True)
    except psutil.Error:
        return []


def _signal(process: subprocess.Popen[bytes], sign: int) -> None:
    """To its whole session where it has one, else to it alone."""
    if sys.platform != "win32":
        with suppress(OSError):  # it has none, or nobody of it is left
            os.killpg(process.pid, sign)
            return
    process.send_signal(sign)
