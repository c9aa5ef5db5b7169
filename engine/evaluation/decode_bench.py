"""`bench_decoding`: how fast a model decodes pinned text and starts, in turns with llama.cpp where it is installed.

It loads and starts what is measured; `decode_speed` takes the times and `decode_report` sums them up.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine.config import DEFAULT_MODEL
from engine.errors import ConfigError
from engine.evaluation.decode_report import ColdStart, decode_report
from engine.evaluation.decode_speed import measure_decoding
from engine.evaluation.llama_cpp import LlamaCpp, is_installed, quantized
from engine.model.loaded import cpu_threads
from engine.model.loading import load_model
from engine.model.sources.embedded import SMOLLM2, fetch_gguf
from engine.model.sources.store import resolve_model
from engine.policy.learned import find_learned_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.config import EngineConfig
    from engine.evaluation.decode_report import DecodeReport
    from engine.types import Precision, ProgressSink

PROMPTS = Path(__file__).parent / "decode_prompts"
"""Text up to a cursor, a file each: the middle of eight modules of Green Code as they once were.

People complete inside files, where names and phrases have come up before. At a module's beginning nothing has, so
drafts from the text could not show what they are worth. Never change these files: figures on other text do not compare.
"""

_MAX_POSITIONS = 1024
_COLD_STARTS = 3
_COLD_START = """
import sys, time
import psutil
from engine.config import EngineConfig
from engine.engine import load_engine
from engine.types import CompletionRequest
engine = load_engine(EngineConfig(model=sys.argv[1], precision=sys.argv[2], device=sys.argv[3]))
process = psutil.Process()
ready_s = time.time() - process.create_time()
engine.complete(CompletionRequest(prefix=sys.stdin.read()))
print(ready_s, process.memory_info().rss)
"""


def bench_decoding(
    config: EngineConfig,
    gguf: Path | None,
    *,
    rounds: int,
    note: str,
    progress: ProgressSink,
) -> DecodeReport:
    """Loads a model, and measures how fast it decodes and starts.

    Args:
        config: The model, its precision, and its threads.
        gguf: The same weights for llama.cpp; None fetches those of the default model, and leaves others without a peer.
        rounds: How often everything takes its turn.
        note: What people should know of this run.
        progress: Is called for each round.

    Raises:
        ConfigError: If there is no such file.
        EngineError: If the model cannot be loaded.
    """
    files = resolve_model(config.model, progress=progress)
    loaded = load_model(files.name, files.path, config, progress=progress)
    learned = find_learned_policy(loaded.name, loaded.model.fingerprint, loaded.model.exits_fingerprint)
    texts = read_prompts()
    with _peers(config, gguf, loaded.precision, progress) as peers:
        speed = measure_decoding(loaded, learned, texts, peers, rounds=rounds, progress=progress)
    return decode_report(
        model=Path(config.model).name if Path(config.model).is_dir() else config.model,
        device=loaded.device_name,
        text_sha256=text_sha256(texts),
        note=note,
        speed=speed,
        cold_start=cold_start(config, texts[0]),
    )


def read_prompts() -> list[str]:
    """The pinned texts, in the order of their names."""
    return [path.read_text(encoding="utf-8") for path in sorted(PROMPTS.glob("*.txt"))]


def text_sha256(texts: list[str]) -> str:
    """Names the text that figures are on."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


@contextmanager
def _peers(
    config: EngineConfig, gguf: Path | None, precision: Precision, progress: ProgressSink
) -> Iterator[list[LlamaCpp]]:
    """llama.cpp with the same weights at the same bits, on all threads and on one; none where it is not installed."""
    if gguf is not None and not gguf.is_file():
        raise ConfigError(f"There is no file {gguf}.")
    if not is_installed() or precision in {"fp32", "bf16"} or (gguf is None and config.model != DEFAULT_MODEL):
        yield []
        return
    with tempfile.TemporaryDirectory(prefix="green-code-bench-") as folder:
        source = gguf or fetch_gguf(SMOLLM2, Path(folder), progress=progress)[0]
        file = quantized(source, precision, Path(folder))
        counts = sorted({1, cpu_threads(config)}, reverse=True)
        yield [LlamaCpp(file, threads=count, max_positions=_MAX_POSITIONS) for count in counts]


def cold_start(config: EngineConfig, text: str, *, n_starts: int = _COLD_STARTS) -> ColdStart:
    """The fastest of a few starts of a process, the disk warm; each completes behind `text`."""
    starts = []
    for _ in range(n_starts):
        done = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-I", "-c", _COLD_START, config.model, config.precision, config.device],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        )
        ready_s, resident_bytes = done.stdout.split()[-2:]
        starts.append(ColdStart(ready_s=float(ready_s), resident_bytes=float(resident_bytes)))
    return min(starts, key=lambda start: start.ready_s)
