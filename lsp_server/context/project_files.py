"""Which files of a workspace's folder belong to its project's text, in which order, and what they say.

Git names them where it can: what it tracks, and what it does not ignore. Elsewhere all files are looked at, but those
in hidden folders and in folders of packages that were fetched. Links are not followed. Others say what is private.
"""

from __future__ import annotations

import os
import stat
import subprocess
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from engine.completion.languages import language_of
from lsp_server.context.git_ignore import repository_root
from lsp_server.context.git_process import SAFE_OPTIONS, find_git, safe_environment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from lsp_server.context.privacy import PrivateFiles

MAX_FILES = 10_000  # of one folder
MAX_FILE_BYTES = 300_000  # what is longer was made by a program, and for one
MAX_LINE_CHARS = 200  # on average; the same
TIME_LIMIT_S = 10.0  # for git
_PASSED_OVER = frozenset({"node_modules", "site-packages", "__pycache__", "venv", "target", "build", "dist"})


def project_files(
    folder: Path,
    languages: Collection[str],
    *,
    near: Collection[Path],
    private: PrivateFiles,
    within: Path | None = None,
) -> list[Path]:
    """The files of a folder in these languages, those nearest to where the person works first.

    Args:
        folder: The workspace's, absolute.
        languages: As editors name them.
        near: Files that are open.
        private: Judges which must not be read.
        within: A folder in it, for its files alone; those that are found without it.
    """
    named = _named_by_git(folder, within or folder)
    walked = _walked(folder, within or folder)
    names, reason = (named, private.reason_by_name) if named is not None else (walked, private.reason_at_once)
    wanted = (path for path in names if language_of(path) in languages and not reason(path))
    folders = {path.parent for path in near}
    return sorted(islice(wanted, MAX_FILES), key=lambda path: (-_nearness(path, folders), path.as_posix()))


def is_passed_over(path: Path, folder: Path) -> bool:
    """Whether a file of a folder lies where nobody looks for one, as git would not have named it either.

    Args:
        path: The file.
        folder: The workspace's; it may be of any name.
    """
    return _lies_aside(path.parent, folder) and repository_root(path) is None


def read_file(path: Path) -> str | None:
    """What a file says, with LF line ends; None where that is no text, too long, made by a program, or gone."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE_BYTES:
            return None
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    return text if len(text) <= MAX_LINE_CHARS * (text.count("\n") + 1) and "\0" not in text else None


def _named_by_git(folder: Path, within: Path) -> Iterable[Path] | None:
    """None where git does not tell."""
    git = find_git()
    if not git:
        return None
    command = [*git, *SAFE_OPTIONS, "--literal-pathspecs", "-C", str(folder)]
    command += ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", os.path.relpath(within, folder)]
    try:
        done = subprocess.run(  # noqa: S603 - git, with its options made safe
            command, stdin=subprocess.DEVNULL, capture_output=True, env=safe_environment(), timeout=TIME_LIMIT_S,
            check=False,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    return [folder / os.fsdecode(name) for name in dict.fromkeys(done.stdout.split(b"\0")) if name]


def _walked(folder: Path, within: Path) -> Iterator[Path]:
    n_seen = 0
    for root, folders, names in () if _lies_aside(within, folder) else os.walk(within):
        folders[:] = sorted(name for name in folders if not _is_aside(name))
        for name in sorted(names):
            yield Path(root, name)
        n_seen += len(names)
        if n_seen > 10 * MAX_FILES:
            return


def _lies_aside(inner: Path, folder: Path) -> bool:
    return any(map(_is_aside, inner.relative_to(folder).parts))


def _is_aside(name: str) -> bool:
    return name.startswith(".") or name in _PASSED_OVER


def _nearness(path: Path, folders: Collection[Path]) -> int:
    """How many folders a file shares with the nearest of others."""
    return max((len(os.path.commonpath([path.parent, folder])) for folder in folders), default=0)
