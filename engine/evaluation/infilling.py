"""HumanEval single-line infilling (Bavarian et al., arXiv 2207.14255; MIT): does the program still work with our line?

The model sees what stands before the missing line and nothing behind it, as in the product; its line is put in and the
problem's own tests are run, as `engine.evaluation.programs` runs what a language model wrote.
"""

from __future__ import annotations

import gzip
import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.completion.site import site_for
from engine.errors import ConfigError
from engine.evaluation.places import Place
from engine.evaluation.programs import ends_well
from engine.types import CompletionRequest, ProgressSink

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from engine.evaluation.runs import PlaceRun

_AT_ONCE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A function with one line missing.

    Attributes:
        task_id: Its name in the benchmark.
        before: The program up to the missing line.
        line: The missing line.
        after: What follows it.
        test: Source of `check(candidate)`.
        entry_point: Name of the function.
    """

    task_id: str
    before: str
    line: str
    after: str
    test: str
    entry_point: str


def read_problems(path: Path) -> list[Problem]:
    """Reads the benchmark: JSON lines, may be gzipped.

    Raises:
        ConfigError: If the file is not that benchmark.
    """
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
        return [_problem(json.loads(line)) for line in text.splitlines() if line.strip()]
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"The benchmark {path} cannot be read; it should be HumanEval-SingleLineInfilling.jsonl, gzipped or not."
        ) from error


def draw_problems(problems: Sequence[Problem], n_problems: int, *, seeds: int = 1) -> list[tuple[Problem, Place]]:
    """Draws problems, none of them twice, and the places that they are.

    Args:
        problems: The benchmark.
        n_problems: How many to draw; all of them where there are fewer.
        seeds: How many draws share them; it numbers the places.
    """
    drawn = random.Random(0).sample(list(problems), min(n_problems, len(problems)))  # noqa: S311 - nothing secret
    return [(problem, _place(problem, seed=at % seeds)) for at, problem in enumerate(drawn)]


def judge_programs(problems: Sequence[Problem], runs: Sequence[PlaceRun], *, progress: ProgressSink) -> list[PlaceRun]:
    """The same runs with `passed` filled in: 1 where the program with the suggested line passes its tests.

    Args:
        problems: The problem of each place, in their order.
        runs: The runs of all arms; a line that several arms suggest is run once.
        progress: Is called for each program run.
    """
    candidates = sorted({(run.place, run.text) for run in runs})
    passed: dict[tuple[int, str], bool] = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        outcomes = pool.map(lambda candidate: passes(problems[candidate[0]], candidate[1]), candidates)
        for candidate, outcome in zip(candidates, outcomes, strict=True):
            passed[candidate] = outcome
            progress("Running programs", len(passed), len(candidates))
    return [replace(run, passed=int(passed[run.place, run.text])) for run in runs]


def passes(problem: Problem, line: str) -> bool:
    """Runs the problem's tests on the program with this line in it."""
    program = f"{problem.before}{line}\n{problem.after}\n{problem.test}\ncheck({problem.entry_point})\n"
    return ends_well(program)


def _problem(row: Mapping[str, str]) -> Problem:
    return Problem(
        task_id=row["task_id"],
        before=row["prompt"],
        line=row["canonical_solution"].rstrip("\n"),
        after=row["suffix"],
        test=row["test"],
        entry_point=row["entry_point"],
    )


def _place(problem: Problem, seed: int) -> Place:
    return Place(
        language="python",
        file=problem.task_id,
        kind="infilling",
        seed=seed,
        site=site_for(CompletionRequest(prefix=problem.before, single_line=True)),
        truth=f"{problem.line}\n{problem.after}",
        reference=problem.line,
    )
