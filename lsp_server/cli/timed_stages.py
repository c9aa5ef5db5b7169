"""Commands that run one behind the other, each in a box of time, and leave their results as they end.

For a machine that is there for some minutes alone. Knows nothing of what the commands do.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from engine.process_tree import end_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_GRACE_S = 5.0  # to write what is known so far
_LEAST_S = 5.0  # below which no stage is begun

Outcome = Literal["done", "failed", "out of time", "left out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A command and its time.

    Attributes:
        name: Names its log.
        question: What it answers, for people.
        command: What is run.
        box_s: Seconds that it may take.
    """

    name: str
    question: str
    command: Sequence[str]
    box_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRun:
    """How a stage went.

    Attributes:
        stage: Its name.
        question: What it answers.
        outcome: How it ended.
        elapsed_s: Seconds that it took.
        box_s: Seconds that it had.
        last_words: The last line that it wrote.
    """

    stage: str
    question: str
    outcome: Outcome
    elapsed_s: float
    box_s: float
    last_words: str


def run_stages(
    stages: Sequence[Stage],
    folder: Path,
    *,
    seconds: float,
    environment: Mapping[str, str],
    tell: Callable[[StageRun], None],
) -> list[StageRun]:
    """Runs stages in their order, for so many seconds in all.

    Args:
        stages: The most valuable first, as the last ones may be left out.
        folder: Gets a log of each, and `stages.jsonl`, a line behind each.
        seconds: What there is in all.
        environment: Variables beside those of this process.
        tell: Is called behind each.
    """
    ends_s, runs = time.monotonic() + seconds, []
    folder.mkdir(parents=True, exist_ok=True)
    for stage in stages:
        box_s = min(stage.box_s, ends_s - time.monotonic() - _GRACE_S)
        run = _run(stage, folder / f"{stage.name}.log", box_s, environment)
        runs.append(run)
        with (folder / "stages.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(run)) + "\n")
        tell(run)
    return runs


def _run(stage: Stage, log: Path, box_s: float, environment: Mapping[str, str]) -> StageRun:
    outcome: Outcome = "left out"
    started_s = time.monotonic()
    if box_s >= _LEAST_S:
        with log.open("wb") as file:
            child = subprocess.Popen(  # noqa: S603 - our own commands
                stage.command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )
            try:
                outcome = "failed" if child.wait(box_s) else "done"
            except subprocess.TimeoutExpired:
                outcome = "out of time"
            finally:
                end_all(child, grace_s=_GRACE_S)
    return StageRun(
        stage=stage.name,
        question=stage.question,
        outcome=outcome,
        elapsed_s=round(time.monotonic() - started_s, 1),
        box_s=round(box_s, 1),
        last_words=_last_words(log),
    )


def _last_words(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
