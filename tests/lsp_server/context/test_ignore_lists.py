"""Our own reading of .gitignore files, and git itself, over many lists: they agree, or ours ignores more."""

from __future__ import annotations

import random
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.lsp_server.context.repositories import git, reason, write

if TYPE_CHECKING:
    from pathlib import Path

    from lsp_server.context.git_ignore import GitIgnores

CASES = [
    ["*.log", "!keep.log"],
    ["build/", "!build/a.py"],
    ["build/*", "!build/a.py"],
    ["build/**", "!build/a.py"],
    ["/a.py"],
    ["src/a.py"],
    ["**/deep/*.py"],
    ["src/**/a.py"],
    ["*.py", "!src/"],
    ["a.py ", "#a.log", "", "\\#x", "!"],
    ["[ab].py", "?.log"],
    ["*", "!*/", "!*.py"],
]
NAMES = [
    *("a.py", "b.py", "keep.log", "a.log", "x.log", "build/a.py", "build/b.py", "build/deep/a.py", "src/a.py"),
    *("src/deep/a.py", "src/deep/more/a.py", "src/build/a.py", "src/keep.log", "#x"),
]


@pytest.mark.parametrize("nested", [(), ("!a.py", "!*.log"), ("*.py",)], ids=repr)
@pytest.mark.parametrize("patterns", CASES, ids=repr)
async def test_our_own_reading_is_gits(
    project: Path, own_reading: GitIgnores, patterns: list[str], nested: tuple[str, ...]
) -> None:
    write(project / ".gitignore", *patterns)
    write(project / "src" / ".gitignore", *nested)

    assert [name for name in NAMES if await reason(own_reading, project / name, project)] == gits_own(project, NAMES)


PARTS = ["a", "b", "src", "build", "x.py", "keep", "é", "a b", "A", "[a]", "deep"]
PIECES = [*PARTS, "*", "?", "**", "*.py", "[ab]", "[!a]", "[[:alpha:]]", "[\\]]", "\\[a\\]", "a*", "*b", "?.py", "**b"]


def random_tree(seed: int, project: Path) -> list[str]:
    """Writes lists of random patterns, tracks a few files, and gives names to ask about."""
    chance = random.Random(seed)
    names = sorted({"/".join(chance.choices(PARTS, k=chance.randint(1, 4))) for _ in range(24)})
    folders = {name.rpartition("/")[0] for name in names}
    files = [name for name in names if not any(other.startswith(f"{name}/") for other in names)]
    for name in files:
        write(project / name)
    for folder in sorted({"", *chance.sample(sorted(folders), min(2, len(folders)))}):
        if (project / folder).is_dir():
            write(project / folder / ".gitignore", *(random_pattern(chance) for _ in range(chance.randint(1, 6))))
    tracked = chance.sample(files, min(3, len(files)))
    git("--literal-pathspecs", "add", "--force", "--", *tracked, cwd=project)
    return files


def random_pattern(chance: random.Random) -> str:
    pattern = "/".join(chance.choices(PIECES, k=chance.choice([1, 1, 1, 2, 2, 3])))
    slash_before, slash_behind = chance.random() < 0.2, chance.random() < 0.3
    return "!" * (chance.random() < 0.25) + "/" * slash_before + pattern + "/" * slash_behind


def gits_own(project: Path, names: list[str]) -> list[str]:
    """What `git status` would pass over: the ignored files that are not tracked, one question a file."""
    ignored = []
    for name in names:
        asked = ["git", "check-ignore", "--quiet", "--no-index", f"./{name}"]
        tracked = ["git", "--literal-pathspecs", "ls-files", "--error-unmatch", "--", name]
        if succeeds(asked, project) and not succeeds(tracked, project):
            ignored.append(name)
    return ignored


def succeeds(command: list[str], cwd: Path) -> bool:
    return subprocess.run(command, cwd=cwd, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("seed", range(12))
async def test_random_trees_are_read_as_git_reads_them(project: Path, ignores: GitIgnores, seed: int) -> None:
    names = random_tree(seed, project)

    assert [name for name in names if await reason(ignores, project / name, project)] == gits_own(project, names)


@pytest.mark.parametrize("seed", range(12))
async def test_without_git_nothing_is_read_that_git_ignores(project: Path, own_reading: GitIgnores, seed: int) -> None:
    names = random_tree(seed, project)

    private = [name for name in names if await reason(own_reading, project / name, project)]

    assert set(gits_own(project, names)) <= set(private)
