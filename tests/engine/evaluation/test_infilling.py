import gzip
import json
from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.evaluation.infilling import Problem, draw_problems, passes, read_problems

PROBLEM = Problem(
    task_id="Add/L0",
    before="def add(a, b):\n",
    line="    total = a + b",
    after="    return total\n",
    test="def check(candidate):\n    assert candidate(1, 2) == 3\n",
    entry_point="add",
)


def row() -> dict[str, str]:
    return {
        "task_id": PROBLEM.task_id,
        "prompt": PROBLEM.before,
        "canonical_solution": PROBLEM.line + "\n",
        "suffix": PROBLEM.after,
        "test": PROBLEM.test,
        "entry_point": PROBLEM.entry_point,
    }


@pytest.mark.parametrize("name", ["problems.jsonl", "problems.jsonl.gz"])
def test_the_benchmark_is_read_gzipped_or_not(name: str, tmp_path: Path) -> None:
    content = (json.dumps(row()) + "\n").encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)

    assert read_problems(tmp_path / name) == [PROBLEM]


def test_another_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "other.jsonl").write_text('{"prompt": 1}\n')

    with pytest.raises(ConfigError, match="cannot be read"):
        read_problems(tmp_path / "other.jsonl")


def test_a_place_has_the_line_as_its_truth_and_nothing_of_it_in_the_prompt() -> None:
    [(_, place)] = draw_problems([PROBLEM], 5)

    assert place.site.prompt.text + place.site.prompt.typed == PROBLEM.before
    assert place.reference == PROBLEM.line
    assert place.truth.startswith(PROBLEM.line + "\n")


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("    total = a + b", True),
        ("    total = b + a  # as well", True),
        ("    total = a - b", False),
        ("    total = (", False),
        ("", False),
        ("    import socket; socket.socket(); total = a + b", False),
        ("    open('left', 'w').write('text' * 9999); total = a + b", False),
        ("    total = a + b; bytearray(1 << 40)", False),
    ],
)
def test_a_line_passes_where_the_program_does_and_leaves_the_machine_alone(
    line: str,
    right: bool,  # noqa: FBT001 - a table
) -> None:
    assert passes(PROBLEM, line) is right


def test_a_program_that_never_ends_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.evaluation.programs._TIME_LIMIT_S", 0.5)

    assert passes(PROBLEM, "    while True: pass") is False
