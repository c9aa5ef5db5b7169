"""What it takes to book a request, in CPU time of the thread: `python -m tests.lsp_server.books.cost [TIMES]`.

A real server, whose engine is a fake and whose client reads nothing, enters requests of 24 tokens into a ledger on the
disk: their joules, the session's sums, the ledger's row; and what the client is told of all that was booked meanwhile.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from engine.energy.accounting import account
from engine.energy.cost_model import baseline_work
from engine.types import CompletionRequest, Phase, Work
from lsp_server.suggest.jobs import Computed
from tests.engine.energy.test_cost_model import ROUND
from tests.fakes import FAKE_LAYERS, fake_completion
from tests.lsp_server.in_process import InProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

URI = "file:///project/a.py"
TEXT = "return width * height if width > 0 else fallback(height)"
PREFILL = Work(prefill_tokens=100, layer_passes=FAKE_LAYERS)
DECODE = Work(tokens=24, layer_passes=72, layer_tokens=72, head_passes=24.0, head_tokens=24.0)
WORK = {Phase.PREFILL: PREFILL, Phase.DECODE: DECODE, Phase.POLICY: Work(policy_checks=48)}


async def measure(times: int, folder: Path) -> dict[str, list[float]]:
    """Milliseconds of each kind of entry: `account`, `computed`, `reused`, `accepted`, `told`."""
    client = InProcess(folder / "ledger.sqlite3")
    await client.start(None)
    client.server.protocol.set_writer(_Deaf())
    taken_ms: dict[str, list[float]] = defaultdict(list)
    for n in range(times):
        for name, enter in _entries(client, f"{n:032}"):
            begun_s = time.thread_time()
            enter()
            taken_ms[name].append(1e3 * (time.thread_time() - begun_s))
        await asyncio.sleep(0)
    await client.server.stop()
    return taken_ms


class _Deaf:
    """A client that reads nothing."""

    def write(self, data: bytes) -> None:
        """Drops it."""

    def close(self) -> None:
        """There is nothing to close."""


def _entries(client: InProcess, completion_id: str) -> Iterator[tuple[str, Callable[[], None]]]:
    baseline = baseline_work(PREFILL, prompt_tokens=100, tokens=24, n_layers=FAKE_LAYERS)
    completion = fake_completion(TEXT, exit_layers=(2, 4) * 12)

    def enter_joules() -> None:
        nonlocal completion
        energy, baseline_j, range_j = account(WORK, cost_model=ROUND, window=None, elapsed_s=0.4, baseline=baseline)
        completion = replace(completion, energy=energy, baseline_energy_j=baseline_j, saved_range_j=range_j)

    yield "account", enter_joules
    request = CompletionRequest(prefix="def area():\n    ", suffix="", language_id="python")
    computed = Computed(uri=URI, completion_id=completion_id, request=request, text=None, completion=completion)
    yield "computed", lambda: client.server._note_computed(computed)
    yield "reused", lambda: client.server.books.reused(completion_id, 20)
    yield "accepted", lambda: client.server.accept(completion_id, None)
    yield "told", client.server._tell_books


def main() -> None:
    """Prints the medians."""
    times = int(sys.argv[1]) if sys.argv[1:] else 2000
    with tempfile.TemporaryDirectory() as folder:
        taken_ms = asyncio.run(measure(times, Path(folder)))
    for name, each_ms in taken_ms.items():
        worst_ms = sorted(each_ms)[int(0.95 * times)]
        print(f"{name:8}  median {median(each_ms):.3f} ms, at the 95th percentile {worst_ms:.3f} ms")  # noqa: T201


if __name__ == "__main__":
    main()
