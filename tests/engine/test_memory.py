"""All threads of an engine take memory from one place."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

THREADS_THAT_ASK = """
import ctypes, sys, threading
from engine.memory import keep_one_arena
if sys.argv[1] == "one":
    keep_one_arena()
meeting, kept = threading.Barrier(4), []
def ask():
    meeting.wait()
    kept.append(bytearray(100_000))
threads = [threading.Thread(target=ask) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_info"), reason="other systems have other places"
)
def test_threads_take_memory_from_one_place(tmp_path: Path) -> None:
    found = {}
    for how in ("many", "one"):
        told = tmp_path / how
        subprocess.run([sys.executable, "-c", THREADS_THAT_ASK, how, str(told)], check=True)
        found[how] = told.read_text().count("<heap nr=")

    assert found["one"] == 1 < found["many"]
