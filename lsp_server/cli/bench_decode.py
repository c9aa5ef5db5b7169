"""The command `green-code bench decode`: how fast this machine decodes, beside llama.cpp. `bench_cli` registers it."""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from engine.config import DEFAULT_MODEL, EngineConfig, PrecisionChoice
from engine.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from engine.evaluation.decode_speed import DecodeSpeed
    from engine.evaluation.llama_cpp import LlamaCpp
    from engine.types import ProgressSink

    Progress = Callable[[], AbstractContextManager[ProgressSink]]

_MAX_POSITIONS = 1024
_PROMPTS, _LEAST_CHARACTERS = 8, 4000  # whose first half is well over the 280 tokens that are used of it
_COLD_START = """
import sys, time
import psutil
from engine.config import EngineConfig
from engine.engine import load_engine
from engine.types import CompletionRequest
engine = load_engine(EngineConfig(model=sys.argv[1], precision=sys.argv[2]))
process = psutil.Process()
ready_s = time.time() - process.create_time()
engine.complete(CompletionRequest(prefix=sys.stdin.read()))
print(ready_s, process.memory_info().rss)
"""


def register(bench_app: typer.Typer, progress: Progress) -> None:
    """Adds the command.

    Args:
        bench_app: The group it belongs to.
        progress: Opens a bar that counts steps.
    """

    @bench_app.command()
    def decode(
        model: Annotated[str, typer.Option("--model", help="Which model.", metavar="ID")] = DEFAULT_MODEL,
        precision: Annotated[PrecisionChoice, typer.Option("--precision", help="Of its weights.")] = "auto",
        gguf: Annotated[
            Path | None,
            typer.Option(
                "--gguf", help="The same weights for llama.cpp; fetched for the default model.", metavar="FILE"
            ),
        ] = None,
        rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often everything takes its turn.")] = 5,
        threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")] = None,
        note: Annotated[str, typer.Option("--note", help="Added to the JSON line.", metavar="TEXT")] = "",
        output: Annotated[Path | None, typer.Option("--output", help="A file to add the JSON line to.")] = None,
    ) -> None:
        """Times prefill and decoding by depth and by green mode, in turns with llama.cpp where it is installed."""
        config = EngineConfig(model=model, device="cpu", precision=precision, threads=threads)
        with progress() as sink:
            device, speed, cold = _measure(config, gguf, rounds, sink)
        facts = _facts(config, device, speed, cold) | ({"note": note} if note else {})
        console = Console()
        console.print(_table(facts))
        for sentence in _notes(facts):
            console.print(sentence, highlight=False, soft_wrap=True)
        line = json.dumps(facts)
        if output is None:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        else:
            with output.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def _measure(
    config: EngineConfig, gguf: Path | None, rounds: int, sink: ProgressSink
) -> tuple[str, DecodeSpeed, tuple[float, float]]:
    from engine.evaluation.decode_speed import measure_decoding
    from engine.model.loading import load_model
    from engine.model.sources.store import resolve_model
    from engine.policy.learned import find_learned_policy

    files = resolve_model(config.model, progress=sink)
    loaded = load_model(files.name, files.path, config, progress=sink)
    learned = find_learned_policy(loaded.name, loaded.model.fingerprint, loaded.model.exits_fingerprint)
    modules = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
    texts = [_before_cursor(module) for module in modules if len(module) >= _LEAST_CHARACTERS][:_PROMPTS]
    with _peers(config, gguf, loaded.precision, sink) as peers:
        speed = measure_decoding(loaded, learned, texts, peers, rounds=rounds, progress=sink)
    return loaded.device_name, speed, _cold_start(config, texts[0])


def _before_cursor(module: str) -> str:
    """A module up to the end of the line in its middle.

    People complete inside files, where names and phrases have come up before. At a module's beginning nothing has, so
    drafts from the text could not show what they are worth.
    """
    return module[: module.index("\n", len(module) // 2)].rstrip()


@contextmanager
def _peers(config: EngineConfig, gguf: Path | None, precision: str, sink: ProgressSink) -> Iterator[list[LlamaCpp]]:
    """llama.cpp with the same weights at the same bits, on all threads and on one; none where it is not installed."""
    from engine.evaluation.llama_cpp import LlamaCpp, is_installed, quantized
    from engine.model.loaded import cpu_threads
    from engine.model.sources.embedded import SMOLLM2, fetch_gguf

    if gguf is not None and not gguf.is_file():
        raise ConfigError(f"There is no file {gguf}.")
    if not is_installed() or precision == "fp32" or (gguf is None and config.model != DEFAULT_MODEL):
        yield []
        return
    with tempfile.TemporaryDirectory(prefix="green-code-bench-") as folder:
        source = gguf or fetch_gguf(SMOLLM2, Path(folder), progress=sink)[0]
        file = quantized(source, precision, Path(folder))
        counts = sorted({1, cpu_threads(config)}, reverse=True)
        yield [LlamaCpp(file, threads=count, max_positions=_MAX_POSITIONS) for count in counts]


def _cold_start(config: EngineConfig, text: str) -> tuple[float, float]:
    """Seconds from a process' start to a loaded engine, disk warm, and bytes resident after a completion."""
    runs = []
    for _ in range(3):
        done = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-I", "-c", _COLD_START, config.model, config.precision],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        )
        ready_s, resident_bytes = done.stdout.split()[-2:]
        runs.append((float(ready_s), float(resident_bytes)))
    return min(runs)


def _facts(config: EngineConfig, device: str, speed: DecodeSpeed, cold: tuple[float, float]) -> dict[str, Any]:
    """Everything that is printed, in milliseconds, and the ratios to llama.cpp within the rounds."""
    from engine.evaluation.decode_speed import OURS, OURS_FRUGAL, line, ratio

    intercept_s, slope_s, correlation = line(speed.by_depth)
    full_s = intercept_s + slope_s * max(speed.by_depth)
    facts: dict[str, Any] = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": platform.processor() or platform.machine(),
        "device": device,
        "model": Path(config.model).name if Path(config.model).is_dir() else config.model,
        "runners": {
            name: {
                "prefill_ms": _ms(speed.prefill[name].wall_s),
                "decode_ms": _ms(speed.step[name].wall_s),
                "decode_cpu_ms": _ms(speed.step[name].cpu_s),
            }
            for name in speed.step
        },
        "by_depth_ms": {depth: _ms(times.wall_s) for depth, times in speed.by_depth.items()},
        "intercept_share": intercept_s / full_s,
        "whole_head_ms": _ms(speed.step[OURS_FRUGAL].wall_s) - _ms(speed.by_depth[max(speed.by_depth)].wall_s),
        "layer_ms": 1e3 * slope_s,
        "depth_correlation": correlation,
        "by_green_mode": {
            mode: {"decode_ms": _ms(times.wall_s), "decode_cpu_ms": _ms(times.cpu_s)}
            for mode, times in speed.by_green_mode.items()
        },
        "neighbour_late_ms": {
            name or "alone": {
                "p50": _ms([late.p50_s for late in found]),
                "p95": _ms([late.p95_s for late in found]),
                "p99": _ms([late.p99_s for late in found]),
            }
            for name, found in speed.neighbour.items()
        },
        "policy_check_ms": None if speed.policy_check_s is None else 1e3 * speed.policy_check_s,
        "cancel_p99_ms": 1e3 * speed.cancel_s[int(0.99 * (len(speed.cancel_s) - 1))] if speed.cancel_s else None,
        "cold_start_s": cold[0],
        "resident_mb": cold[1] / 1e6,
        "weight_mb": speed.weight_bytes / 1e6,
        "stream_gb_per_s": speed.stream_bytes_per_s / 1e9,
    }
    peers = [name for name in speed.step if name not in {OURS, OURS_FRUGAL}]
    if peers:
        fastest = min(peers, key=lambda name: statistics.median(speed.step[name].wall_s))
        frugal = min(peers, key=lambda name: statistics.median(speed.step[name].cpu_s))
        ours, modes = speed.step[OURS], speed.by_green_mode
        facts["peer"] = {
            "decode": ratio(ours.wall_s, speed.step[fastest].wall_s),
            "prefill": ratio(speed.prefill[OURS].wall_s, speed.prefill[fastest].wall_s),
            "cpu": {mode: ratio(times.cpu_s, speed.step[fastest].cpu_s) for mode, times in modes.items()},
            "cpu_one_thread": {mode: ratio(times.cpu_s, speed.step[frugal].cpu_s) for mode, times in modes.items()},
            "fastest": fastest,
        }
    return facts


def _table(facts: dict[str, Any]) -> Table:
    table = Table(title=f"{facts['model']} on {facts['device']}")
    for column in ("", "prefill of 256, ms", "a token, ms", "CPU ms a token"):
        table.add_column(column, justify="left" if not column else "right")
    for name, times in facts["runners"].items():
        table.add_row(
            f"{name}, full depth" if name.startswith("green-code") else name,
            f"{times['prefill_ms']:.0f}",
            f"{times['decode_ms']:.1f}",
            f"{times['decode_cpu_ms']:.1f}",
        )
    for mode, times in facts["by_green_mode"].items():
        name = f"green-code, green mode {mode}, real suggestions"
        table.add_row(name, "", f"{times['decode_ms']:.1f}", f"{times['decode_cpu_ms']:.1f}")
    for depth, time_ms in facts["by_depth_ms"].items():
        table.add_row(f"green-code, exit after layer {depth}", "", f"{time_ms:.1f}", "")
    return table


def _notes(facts: dict[str, Any]) -> Iterator[str]:
    if "note" in facts:
        yield f"{facts['note']}"
    if not facts["by_green_mode"]:
        yield "No policy was trained for this model, so nothing is said of green modes"
    if (peer := facts.get("peer")) is not None:
        yield f"Against {peer['fastest']}, medians over rounds (least to greatest):"
        yield f"  full-depth decode {_ratio(peer['decode'])}, prefill {_ratio(peer['prefill'])}"
        for mode, cpu in peer["cpu"].items():
            one = _ratio(peer["cpu_one_thread"][mode])
            yield f"  CPU seconds a token at green mode {mode}: {_ratio(cpu)}; against its most frugal setting {one}"
    yield (
        f"A token is {facts['layer_ms']:.2f} ms a layer (r {facts['depth_correlation']:.3f}); embedding, head over the "
        f"shortlist and choice are {facts['intercept_share']:.0%} of full depth; the whole head, which lossless text "
        f"takes, {facts['whole_head_ms']:.1f} ms more"
    )
    if facts["policy_check_ms"] is not None:
        yield f"A decision of the policy takes {facts['policy_check_ms']:.3f} ms"
    late = ", ".join(
        f"{'alone' if name == 'alone' else f'beside {name}'} {times['p95']:.1f}"
        for name, times in facts["neighbour_late_ms"].items()
    )
    yield f"A process that works 2 ms every 10 ms, as an editor's UI does, ends its work late by (p95, ms): {late}"
    if facts["cancel_p99_ms"] is not None:
        yield f"Cancelled work ends within {facts['cancel_p99_ms']:.1f} ms (p99)"
    yield f"From a process' start to ready {facts['cold_start_s']:.1f} s; {facts['resident_mb']:.0f} MB resident"
    floor_ms = facts["weight_mb"] / facts["stream_gb_per_s"]
    yield (
        f"A token at full depth reads {facts['weight_mb']:.0f} MB of weights; memory gives "
        f"{facts['stream_gb_per_s']:.1f} GB/s, hence {floor_ms:.1f} ms at best"
    )


def _ms(seconds: Sequence[float]) -> float:
    return 1e3 * statistics.median(seconds) if seconds else float("nan")


def _ratio(of: tuple[float, float, float]) -> str:
    return f"{of[0]:.2f} ({of[1]:.2f} to {of[2]:.2f})"
