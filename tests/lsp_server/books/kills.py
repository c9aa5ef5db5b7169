"""Kills a process that writes the ledger, again and again: `python -m tests.lsp_server.books.kills [TIMES]`.

A row is told of once it is written, and must then be there, whenever the process ends. The file stays sound though two
writers share it.
"""

from __future__ import annotations

import itertools
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from lsp_server.books.ledger import Ledger
from tests.fakes import fake_completion

ROOT = Path(__file__).parents[3]
LONGEST_S = 0.3  # of a writer's life, from its first row on
MOST_WAITING = 100  # rows in memory; each has waited for the file


def write(path: Path, name: str) -> None:
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
        os.write(1, "".join(f"{completion_id}\n" for completion_id in untold).encode())
        untold.clear()


def kill(times: int, folder: Path, seed: int = 0) -> list[str]:
    """What went wrong, a sentence each."""
    chance, path, told, faults = random.Random(seed), folder / "ledger.sqlite3", set[str](), list[str]()
    for n in range(times):
        command = [sys.executable, "-m", "tests.lsp_server.books.kills", "write", str(path)]
        writers = [
            subprocess.Popen(
                [*command, f"{n}-{name}"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
            )
            for name in "ab"
        ]
        for writer in writers:
            assert writer.stdout is not None
            told.add(writer.stdout.readline().decode().strip())  # no more than the line: `communicate` reads on
        time.sleep(chance.random() * LONGEST_S)
        for writer in writers:
            writer.kill()
            out, err = writer.communicate()
            told.update(out.decode().split("\n")[:-1])  # the last line may be half of one
            faults += [err.decode()] if err else []
    with closing(sqlite3.connect(path)) as database:
        verdict = database.execute("PRAGMA integrity_check").fetchone()[0]
        kept = {row[0] for row in database.execute("SELECT id FROM completion WHERE accepted_chars = 4")}
    faults += [f"{completion_id} is lost" for completion_id in sorted(told - kept - {""})]
    faults += [] if verdict == "ok" else [verdict]
    faults += [f"set aside: {file.name}" for file in folder.glob("*corrupt*")]
    return faults or ([] if len(told) > times else ["hardly anything was written"])


def main() -> None:
    """Writes, or kills who writes."""
    if sys.argv[1:2] == ["write"]:
        write(Path(sys.argv[2]), sys.argv[3])
    times = int(sys.argv[1]) if sys.argv[1:] else 500
    with tempfile.TemporaryDirectory() as folder:
        faults = kill(times, Path(folder))
    print(f"{times} times two writers were killed: {len(faults)} faults", *faults[:20], sep="\n")  # noqa: T201
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
