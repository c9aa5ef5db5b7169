"""HumanEval (Chen et al., arXiv 2107.03374; MIT): functions to be written, and tests that tell whether they are right.

It knows where a function ends, which is where a text begins to babble. Strings only: no model.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.corpus.parquet import parquet_rows
from engine.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

INDENT = "    "

# A line in the first column that closes nothing: HumanEval's own stop words ("\ndef", "\nclass", "\nif", ...) and more.
_OUTER_LINE = re.compile(r"\n(?=[^\s)\]}])")
_LONG_QUOTES = ('"""', "'''")


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionProblem:
    """A function to be written.

    Attributes:
        task_id: Its name in the benchmark.
        head: The program up to the function's body: imports, signature and description.
        solution: A body that is right.
        test: Source of `check(candidate)`.
        entry_point: Name of the function.
    """

    task_id: str
    head: str
    solution: str
    test: str
    entry_point: str

    @property
    def prefix(self) -> str:
        """What stands before the cursor of somebody who is about to write the body."""
        return self.head + INDENT

    def program(self, body: str) -> str:
        """The program with this text behind the cursor, and its tests."""
        return f"{self.prefix}{body}\n{self.test}\ncheck({self.entry_point})\n"


def read_functions(path: Path) -> list[FunctionProblem]:
    """Reads the benchmark: JSON lines, may be gzipped; or Parquet, as the hub has it.

    Raises:
        ConfigError: If the file is not that benchmark.
    """
    try:
        found = [
            FunctionProblem(
                task_id=row["task_id"],
                head=row["prompt"],
                solution=row["canonical_solution"],
                test=row["test"],
                entry_point=row["entry_point"],
            )
            for row in benchmark_rows(path)
        ]
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"The benchmark {path} cannot be read; it should be HumanEval.jsonl, gzipped or not."
        ) from error
    if not found:
        raise ConfigError(f"The benchmark {path} is empty.")
    return found


def fetch_functions() -> list[FunctionProblem]:
    """Takes the benchmark from the cache of the hub's client, or else from the hub.

    Raises:
        ConfigError: If it cannot be had.
    """
    return read_functions(
        fetch_file("openai/openai_humaneval", "openai_humaneval/test-00000-of-00001.parquet", option="--human-eval")
    )


def function_length(body: str) -> int | None:
    """How long a function's body is; None where the text has not come to its end."""
    for line in _OUTER_LINE.finditer(body):
        inside = body[: line.start()]
        if not any(inside.count(quotes) % 2 for quotes in _LONG_QUOTES):
            return line.start()
    return None


def fetch_file(repository: str, name: str, *, option: str) -> Path:
    """One file of a data set, from the cache of the hub's client, or else from the hub.

    Raises:
        ConfigError: If it cannot be had; the message names the option that takes a file instead.
    """
    import huggingface_hub
    from huggingface_hub import errors as hub_errors

    try:
        return Path(huggingface_hub.hf_hub_download(repository, name, repo_type="dataset"))
    except (OSError, RuntimeError, hub_errors.HTTPError) as error:  # type: ignore[attr-defined]  # not declared
        raise ConfigError(
            f"The data set {repository} is not in the cache, and the hub cannot be reached; name a file with {option}."
        ) from error


def benchmark_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """The records of a file of JSON lines, gzipped or not, or of Parquet.

    Raises:
        ConfigError: If Parquet cannot be read here.
    """
    if path.suffix == ".parquet":
        yield from parquet_rows(path, instead="JSON lines", refused=ConfigError)
        return
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
    yield from (json.loads(line) for line in text.splitlines() if line.strip())
