"""`end_if_unread`: a server that still starts ends once nobody can read what it would say.

To import it all takes 0.2 s, and on a busy machine seconds, in which its input is not looked at. Once it serves, it
ends by itself (`lsp_server.stdio`), with all that it has to finish.
"""

from __future__ import annotations

import os
import sys
import threading


def end_if_unread() -> threading.Event:
    """Watches stdout from now on, until the event is set. Nothing wakes until its reader has gone."""
    is_serving = threading.Event()
    if sys.platform != "win32":  # which does not tell
        output = os.dup(1)  # the server takes the number for something else
        threading.Thread(target=_watch, args=(output, is_serving), name="unread", daemon=True).start()
    return is_serving


def _watch(output: int, is_serving: threading.Event) -> None:
    import select

    reader = select.poll()
    reader.register(output, 0)  # that it has gone is told in any case
    is_gone = any(event & (select.POLLERR | select.POLLHUP) for _, event in reader.poll())
    if is_gone and not is_serving.is_set():  # what is no pipe may not be watched, and says so at once
        os._exit(1)
    os.close(output)
