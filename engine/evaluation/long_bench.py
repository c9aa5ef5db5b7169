"""LongBench's code tasks (Bai et al., arXiv 2308.14508; MIT): the next line behind long text of a repository.

Its prompts and its score are the benchmark's own; what is too long loses its middle, as there. Knows no model.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from engine.errors import ConfigError
from engine.evaluation.human_eval import benchmark_rows, fetch_file
from engine.evaluation.metrics import edit_similarity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

CodeTask = Literal["lcc", "repobench-p"]

MAX_NEW_TOKENS = 64  # as the benchmark asks for in both tasks
_NOT_CODE = ("`", "#", "//")


@dataclass(frozen=True, slots=True, kw_only=True)
class LongProblem:
    """A line to be written behind long text.

    Attributes:
        task: Which of the tasks it is of.
        item: Its name in the benchmark.
        prompt: What the model reads.
        answers: Lines that are right.
    """

    task: CodeTask
    item: str
    prompt: str
    answers: tuple[str, ...]

    def score(self, text: str) -> float:
        """0 to 1: how like an answer the text's first line of code is."""
        lines = text.lstrip("\n").split("\n")
        said = next((line for line in lines if not any(mark in line for mark in _NOT_CODE)), "")
        return max(edit_similarity(said, answer) for answer in self.answers)


def read_long_problems(path: Path) -> list[LongProblem]:
    """Reads the code tasks of a file of JSON lines, or those in the benchmark's own data.zip.

    Raises:
        ConfigError: If the file is not of that benchmark.
    """
    try:
        found = [problem for row in _rows(path) if (problem := _problem(row)) is not None]
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"The benchmark {path} cannot be read; it should be LongBench's lcc.jsonl or data.zip."
        ) from error
    if not found:
        raise ConfigError(
            f"There is no task of LongBench in {path} that is about code: {', '.join(get_args(CodeTask))}."
        )
    return found


def fetch_long_problems() -> list[LongProblem]:
    """Takes the code tasks from the cache of the hub's client, or else from the hub.

    Raises:
        ConfigError: If they cannot be had.
    """
    return read_long_problems(fetch_file("zai-org/LongBench", "data.zip", option="--long-bench"))


def draw_long_problems(problems: Sequence[LongProblem], n_each: int) -> list[LongProblem]:
    """The first so many problems of each task."""
    return [
        problem
        for task in get_args(CodeTask)
        for problem in [problem for problem in problems if problem.task == task][:n_each]
    ]


def without_middle(ids: Sequence[int], most: int) -> list[int]:
    """The tokens, or where there are too many their two ends, as the benchmark cuts prompts."""
    if len(ids) <= most:
        return list(ids)
    head = most // 2
    return [*ids[:head], *ids[len(ids) - (most - head) :]]


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.suffix != ".zip":
        yield from benchmark_rows(path)
        return
    with zipfile.ZipFile(path) as archive:
        for task in get_args(CodeTask):
            yield from map(json.loads, archive.read(f"data/{task}.jsonl").decode("utf-8").splitlines())


def _problem(row: Mapping[str, Any]) -> LongProblem | None:
    task: CodeTask
    if row["dataset"] == "lcc":
        task, code = "lcc", row["context"]
    elif row["dataset"] == "repobench-p":
        task, code = "repobench-p", row["context"] + row["input"]
    else:
        return None
    return LongProblem(
        task=task,
        item=row["_id"],
        prompt=f"Please complete the code given below. \n{code}Next line of code:\n",
        answers=tuple(row["answers"]),
    )
