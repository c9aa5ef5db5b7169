"""Kills a process that writes the ledger, again and again: `python -m tests.lsp_server.books.kills [TIMES [SEED]]`.

A row is told of once it is written, and must then be there, whenever the process ends. The file stays sound though two
writers share it.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import multiprocessing
import random
import signal
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from lsp_server.books.ledger import Ledger
from tests.fakes import fake_completion

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerContext, ForkServerProcess

LONGEST_S = 0.1  # of a writer's life, from its first row on
ROUNDS_A_FILE = 50  # a file is checked when it is opened, which takes the longer the more is in it
MOST_WAITING = 100  # rows in memory; each has waited for the file


def write(path: Path, name: str, tell: Connection) -> None:
    """Writes rows for ever, accepts each, and tells its id once the file has it."""
    ledger, untold = Ledger(path), list[str]()
    for n in itertools.count():
        untold.append(f"{name}-{n}")
        ledger.add("session", untold[-1], fake_completion("four"))
        ledger.accept(untold[-1])
        if ledger.written is None and len(untold) < MOST_WAITING:  # the other writer has had the file for long
            continue
        if ledger.warning:
            sys.exit(ledger.warning)
        tell.send(untold)
        untold.clear()


def kill(times: int, folder: Path, seed: int = 0) -> list[str]:
    """What went wrong, a sentence each."""
    # Writers are forked from a process that has imported all they need: starting Python would take most of a round.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([Ledger.__module__, fake_completion.__module__])
    chance, n_told, faults = random.Random(seed), 0, list[str]()
    for begin in range(0, times, ROUNDS_A_FILE):
        path, told = folder / f"ledger-{begin}.sqlite3", set[str]()
        for n in range(begin, min(begin + ROUNDS_A_FILE, times)):
            writers = [_begin(processes, path, f"{n}-{name}") for name in "ab"]
            for _, heard in writers:
                told.update(heard.recv())
            time.sleep(chance.random() * LONGEST_S)
            for writer, heard in writers:
                faults += _end(writer, heard, told)
        faults += _lost(path, told)
        n_told += len(told)
    faults += [f"set aside: {file.name}" for file in folder.glob("*corrupt*")]
    return faults or ([] if n_told > times else ["hardly anything was written"])


def _begin(processes: ForkServerContext, path: Path, name: str) -> tuple[ForkServerProcess, Connection]:
    """A writer, and where it is heard."""
    heard, tell = processes.Pipe(duplex=False)
    writer = processes.Process(target=write, args=(path, name, tell))
    writer.start()
    tell.close()
    return writer, heard


def _end(writer: ForkServerProcess, heard: Connection, told: set[str]) -> list[str]:
    """Kills a writer and hears what it has told; a fault where it had ended by itself."""
    writer.kill()
    with contextlib.suppress(EOFError, OSError), heard:  # the last message may be half of one
        while True:
            told.update(heard.recv())
    writer.join()
    return [] if writer.exitcode == -signal.SIGKILL else [f"{writer.name} ended by itself"]


def _lost(path: Path, told: set[str]) -> list[str]:
    """What the file lacks, and what is wrong with it."""
    with closing(sqlite3.connect(path)) as database:
        verdict = database.execute("PRAGMA integrity_check").fetchone()[0]
        kept = {row[0] for row in database.execute("SELECT id FROM completion WHERE accepted_chars = 4")}
    lost = [f"{completion_id} is lost" for completion_id in sorted(told - kept)]
    return lost if verdict == "ok" else [*lost, verdict]


def main() -> None:
    """Kills who writes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("times", type=int, nargs="?", default=500)
    parser.add_argument("seed", type=int, nargs="?", default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        faults = kill(asked.times, Path(folder), asked.seed)
    print(f"{asked.times} times two writers were killed: {len(faults)} faults", *faults[:20], sep="\n")  # noqa: T201
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
