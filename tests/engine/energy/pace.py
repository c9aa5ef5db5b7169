"""How far joules by a CPU's pace are from its CPU seconds: `python -m tests.engine.energy.pace [PLACES]`.

The default model completes places of held-out files, once each, and then half of them with the next two keys, alone and
beside a thread that fills a project. What was written, all but the prompt, is told apart as well. `GREEN_CODE_KERNELS`
says which kernels, "off" ONNX Runtime.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from engine.config import EngineConfig
from engine.corpus.installed import installed_held_out
from engine.energy.cost_model import CPU_ACTIVE_POWER_W, phase_energy_j
from engine.energy.meter import EnergyWindow
from engine.energy.pace import OwnCpuClock, Pace
from engine.engine import load_engine
from engine.types import Phase
from lsp_server.cli.complete import requests_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.corpus.source_text import SourceFile
    from engine.types import CompletionRequest

WINDOW = 20  # requests
Row = tuple[float, float, float, float, float, float]
"""Of a request: joules as told, by the shipped prices, and by its CPU seconds; and the same of what was written."""


class _Remembered(EnergyWindow):
    """The window of the last request."""

    last: EnergyWindow

    def __enter__(self) -> EnergyWindow:
        _Remembered.last = self
        return super().__enter__()


def complete_all(
    requests: Sequence[CompletionRequest], beside: Sequence[SourceFile], pace_clock: Callable[[], float]
) -> list[Row]:
    """Completes with an engine of its own, while a thread fills a project with the files beside, again and again."""
    loaded, clock, rows, end = load_engine(EngineConfig()), OwnCpuClock(), [], threading.Event()
    loaded._pace = Pace(pace_clock)
    project = loaded.project("beside")

    def fill() -> None:
        while not end.is_set():
            for file in beside:
                if not end.is_set():
                    project.replace(file.path, file.text)
            project.sort()
            project.clear()

    thread = threading.Thread(target=fill)
    if beside:
        thread.start()
    for request in requests:
        begun_s = clock()
        completion = loaded.complete(request)
        spent_j = (clock() - begun_s) * CPU_ACTIVE_POWER_W
        plain, told = phase_energy_j(loaded.cost_model, completion.work), completion.energy.by_phase
        read_j = (_Remembered.last.first_cpu_s or 0.0) * CPU_ACTIVE_POWER_W if plain[Phase.PREFILL] else 0.0
        plain_j, told_j = sum(plain.values()), completion.energy.energy_j or 0.0
        written = told_j - told[Phase.PREFILL], plain_j - plain[Phase.PREFILL], spent_j - read_j
        rows.append((told_j, plain_j, spent_j, *written))
    end.set()
    if beside:
        thread.join()
    loaded.close()
    return rows


def show(name: str, rows: Sequence[Row]) -> None:
    """Prints sums, and how far the joules that were told are off from those of CPU seconds."""

    def off(begin: int, end: int) -> float:
        told, _, spent, *_ = map(sum, zip(*rows[begin:end], strict=True))
        return told / spent - 1.0

    windows = [off(begin, begin + WINDOW) for begin in range(len(rows) - WINDOW + 1)]
    told, plain, spent, told_written, plain_written, spent_written = map(sum, zip(*rows, strict=True))
    paces = ", ".join(f"{rows[n - 1][0] / rows[n - 1][1]:.2f}" for n in (1, 3, 10, len(rows)))
    print(  # noqa: T201
        f"{name}: {plain:.0f} J by prices, {told:.0f} J told, {spent:.0f} J by CPU seconds; pace after 1, 3, 10, all: "
        f"{paces}; off from the third to the {WINDOW}th {off(2, WINDOW):+.1%}, over any {WINDOW} requests "
        f"{min(windows):+.1%} to {max(windows):+.1%}",
    )
    print(  # noqa: T201
        f"  written: {plain_written / plain:.0%} of the joules by prices, {told_written / told:.0%} as told, "
        f"{spent_written / spent:.0%} by CPU seconds",
        flush=True,
    )


def main() -> None:
    """Prints a line for each way to be asked, and each clock."""
    n_places = int(sys.argv[1]) if sys.argv[1:] else 40
    files = installed_held_out()[:n_places]
    places = requests_of([(Path(file.path), file.text) for file in files], n_places, green_mode=20)
    keys = [
        replace(request, prefix=request.prefix + request.suffix[:typed], suffix=request.suffix[typed:])
        for request in places[: n_places // 2]
        for typed in range(3)
    ]
    ways = {"places": places, "keys": keys}
    for name, (is_busy, is_own) in product(ways, ((False, True), (True, True), (True, False))):
        with patch("engine.engine.EnergyWindow", _Remembered):
            rows = complete_all(ways[name], files if is_busy else (), OwnCpuClock() if is_own else time.process_time)
        show(f"{name}, {'busy' if is_busy else 'alone'}, {'own' if is_own else 'all threads'} time", rows)


if __name__ == "__main__":
    main()
