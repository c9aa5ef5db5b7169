"""Against real git: what it ignores, when it changes its mind, and what it must never be made to do."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lsp_server.context import git_ignore
from lsp_server.context.git_ignore import GitIgnores
from lsp_server.context.git_process import IgnoreProcess, Stamp
from tests.lsp_server.context.repositories import git, reason, write

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT_GIT: tuple[str, ...] = ()


async def test_the_pattern_is_named(project: Path, ignores: GitIgnores) -> None:
    write(project / ".gitignore", "generated/", "!generated/keep.py")

    assert await reason(ignores, project / "generated" / "a.py", project) == "git ignores it by generated/"
    assert await reason(ignores, project / "a.py", project) == ""


async def test_nothing_is_known_before_git_is_asked(project: Path, ignores: GitIgnores) -> None:
    assert ignores.known(project / "a.py", project) is None


async def test_what_git_tracks_is_not_ignored(project: Path, ignores: GitIgnores) -> None:
    for name in ("*.py", "[a].py", ":a.py", "a.py"):
        write(project / name)
    write(project / ".gitignore", "*.py")
    git("add", "--force", "a.py", cwd=project)

    assert await reason(ignores, project / "a.py", project) == ""
    for name in ("*.py", "[a].py", ":a.py"):  # which git might take for patterns of what it tracks
        assert await reason(ignores, project / name, project) == "git ignores it by *.py"

    git("rm", "--cached", "--quiet", "a.py", cwd=project)
    assert await reason(ignores, project / "a.py", project) == "git ignores it by *.py"


async def test_a_changed_list_counts_at_once(project: Path, ignores: GitIgnores) -> None:
    assert await reason(ignores, project / "src" / "a.py", project) == ""

    for change in (
        lambda: write(project / ".gitignore", "*.py"),
        lambda: write(project / "src" / ".gitignore", "!a.py"),
        (project / "src" / ".gitignore").unlink,
        lambda: write(project / ".gitignore", "*.c"),
        lambda: write(project / ".git" / "info" / "exclude", "a.py"),
        (project / ".git" / "info" / "exclude").unlink,
    ):
        before = ignores.known(project / "src" / "a.py", project)
        change()
        assert ignores.known(project / "src" / "a.py", project) is None
        assert await reason(ignores, project / "src" / "a.py", project) != before


def test_a_file_that_is_read_is_judged_by_one_look_at_its_lists(
    project: Path, ignores: GitIgnores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project has thousands of files, each below several lists."""
    looked, stamp = [], git_ignore._stamp

    def counted(file: Path) -> Stamp:
        looked.append(file)
        return stamp(file)

    monkeypatch.setattr(git_ignore, "_stamp", counted)
    assert ignores.ask(project / "src" / "a.py", project) == ""

    lists = [file for file in looked if file.name == ".gitignore"]
    assert lists == [project / "src" / ".gitignore", project / ".gitignore"]

    write(project / ".gitignore", "*.py")
    assert ignores.ask(project / "src" / "a.py", project) == "git ignores it by *.py"


async def test_lists_beside_the_repository_count(project: Path, home: Path, ignores: GitIgnores) -> None:
    write(home / ".config" / "git" / "ignore", "*.bak.py")
    assert await reason(ignores, project / "a.bak.py", project)

    write(home / "excluded", "scratch.py")
    git("config", "--global", "core.excludesFile", "~/excluded")
    assert await reason(ignores, project / "scratch.py", project)


async def test_capitals_count_as_in_git(project: Path, ignores: GitIgnores) -> None:
    write(project / ".gitignore", "*.LOCAL.py")
    git("config", "core.ignorecase", "false", cwd=project)
    assert await reason(ignores, project / "a.local.py", project) == ""

    git("config", "core.ignorecase", "true", cwd=project)
    assert await reason(ignores, project / "a.local.py", project)


async def test_a_linked_worktree_and_a_byte_order_mark(project: Path, ignores: GitIgnores) -> None:
    write(project / "a.py")
    git("add", ".", cwd=project)
    git("commit", "--quiet", "-m", "a", cwd=project)
    write(project / ".git" / "info" / "exclude", "mine.py")
    tree = project.parent / "tree"
    git("worktree", "add", "--quiet", str(tree), cwd=project)
    (tree / ".gitignore").write_bytes(b"\xef\xbb\xbfcustomers.py\n")

    assert await reason(ignores, tree / "mine.py", tree) == "git ignores it by mine.py"
    assert await reason(ignores, tree / "customers.py", tree) == "git ignores it by customers.py"
    write(project / ".git" / "info" / "exclude")
    assert await reason(ignores, tree / "mine.py", tree) == ""


async def test_one_process_answers_many_questions(
    project: Path, ignores: GitIgnores, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def counted(command: tuple[str, ...]) -> IgnoreProcess:
        started.append(command)
        return IgnoreProcess(command)

    monkeypatch.setattr(git_ignore, "IgnoreProcess", counted)
    for number in range(50):
        assert await reason(ignores, project / f"folder{number % 7}" / f"{number}.py", project) == ""

    assert len(started) == 1


def test_no_program_of_the_repository_is_run(project: Path) -> None:
    """A hostile workspace's configuration names programs wherever git would run one."""
    ran = project.parent / "ran"
    program = write(project / "evil.sh", "#!/bin/sh", f"echo $0 $* >> {ran}", "exit 1")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    for hook in ("post-index-change", "fsmonitor-watchman", "query-watchman"):
        write(project / ".git" / "hooks" / hook, *program.read_text().splitlines()).chmod(0o755)
    for name in ("core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "core.askPass", "diff.external"):
        git("config", name, str(program), cwd=project)
    for name, value in {
        "alias.check-ignore": f"!{program}",
        "alias.ls-files": f"!{program}",
        "pager.ls-files": str(program),
        "filter.evil.clean": str(program),
        "extensions.partialClone": "evil",
        "remote.evil.promisor": "true",
        "remote.evil.url": f"ext::{program}",
    }.items():
        git("config", name, value, cwd=project)
    write(project / ".gitignore", "*.py")
    write(project / ".gitattributes", "* filter=evil")
    # A process of its own: the loop of this test's must not be what keeps it from running.
    code = (
        "import asyncio, sys; from pathlib import Path; from lsp_server.context.git_ignore import GitIgnores\n"
        "async def ask():\n"
        "    root, ignores = Path(sys.argv[1]), GitIgnores()\n"
        "    await ignores.learn(root / 'a.py', root); print(ignores.known(root / 'a.py', root)); ignores.close()\n"
        "asyncio.run(ask())"
    )

    answer = subprocess.run(
        [sys.executable, "-c", code, str(project)], check=True, capture_output=True, text=True
    ).stdout.strip()

    assert answer == "git ignores it by *.py"
    assert not ran.exists(), ran.read_text()


async def test_late_git_is_given_up_and_the_file_is_private(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    slow = write(tmp_path / "slow-git", "#!/bin/sh", f"echo >> {asked}", "exec sleep 100")
    slow.chmod(0o755)
    monkeypatch.setattr(git_ignore, "TIME_LIMIT_S", 0.3)
    ignores = GitIgnores((str(slow),))

    first = await reason(ignores, project / "a.py", project)
    assert first is not None
    assert "did not say within" in first
    assert await reason(ignores, project / "b.py", project) == first
    assert len(asked.read_text().splitlines()) == 1
    ignores.close()


async def test_a_list_that_is_no_regular_file_is_never_opened(project: Path, ignores: GitIgnores) -> None:
    os.mkfifo(project / ".gitignore")
    assert await reason(ignores, project / "a.py", project) == ".gitignore beside it is no regular file"

    (project / ".gitignore").unlink()
    (project / ".gitignore").mkdir()  # which git passes over
    assert await reason(ignores, project / "a.py", project) == ""


SLOW = "*" + "a*" * 40 + "b"


@pytest.mark.parametrize("has_git", [True, False])
async def test_a_pattern_made_to_be_slow_stops_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, *, has_git: bool
) -> None:
    monkeypatch.setattr(git_ignore, "TIME_LIMIT_S", 1.5)
    hostile, other = home.parent / "hostile", home.parent / "other"
    for folder in (hostile, other):
        git("init", "--quiet", str(folder))
    write(hostile / ".gitignore", SLOW)
    write(other / ".gitignore", "*.c")
    ignores = GitIgnores(None if has_git else WITHOUT_GIT)

    answer = await reason(ignores, hostile / ("a" * 200 + ".py"), hostile)

    assert answer == "" or "did not say within" in (answer or "")
    assert await reason(ignores, other / "a.py", other) == ""
    ignores.close()


async def test_git_that_refuses_is_replaced_by_our_own_reading(project: Path, tmp_path: Path) -> None:
    write(project / ".gitignore", "*.py")
    refusing = write(tmp_path / "git", "#!/bin/sh", "echo fatal: detected dubious ownership >&2", "exit 128")
    refusing.chmod(0o755)
    ignores = GitIgnores((str(refusing),))

    assert await reason(ignores, project / "a.py", project) == "git ignores it by *.py"
    assert await reason(ignores, project / "a.c", project) == ""
    ignores.close()


async def test_a_folder_without_a_repository_has_lists_too(home: Path, ignores: GitIgnores) -> None:
    write(home / "plain" / ".gitignore", "*.py")

    assert await reason(ignores, home / "plain" / "src" / "a.py", home / "plain")
    assert await reason(ignores, home / "plain" / "src" / "a.c", home / "plain") == ""
