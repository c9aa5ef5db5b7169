"""`GitIgnores`: what git ignores, by git's own answer, kept until something it depends on changes.

One `git check-ignore` a repository is kept open and asked off the event loop; `git ls-files` tells what is tracked, and
so not ignored. Where there is no git, no repository, or git refuses (a repository of another owner), the lists are read
by `lsp_server.context.ignore_lists` in the same way. An answer that is late is given up: the file is private. Nothing
that a repository's configuration names is run. It knows no patterns of its own.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.sentences import Sentence
from lsp_server.context.git_process import (
    MAX_AGE_S,
    SAFE_OPTIONS,
    IgnoreProcess,
    LateError,
    RefusedError,
    Stamp,
    find_git,
    safe_environment,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

logger = logging.getLogger(__name__)

GIVEN_UP_S = 60.0  # for which a repository is not asked after an answer that was late
IDLE_S = 300.0  # after which a process that nobody asks is ended
MAX_ANSWERS = 4096  # kept for a repository
MAX_ASKED_AT_ONCE = 4  # repositories: one that is slow must not hold the others up
_LISTS = frozenset({".gitignore", "exclude", "ignore"})

TIME_LIMIT_S = 5.0
_MISSING: Stamp = ()
_ENDLESS: Stamp = (-1,)  # how the stamp of a pipe or a device begins, which may never be read to an end


_LATE = Sentence("git did not say within {seconds:.0f} seconds whether it ignores it", seconds=TIME_LIMIT_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """Why a file is ignored, "" where it is not; and what was known of the files that decide it."""

    reason: str
    stamps: Mapping[Path, Stamp]
    asked_s: float


class GitIgnores:
    """Answers about files of any number of repositories.

    Args:
        command: How git is called; None finds it. Empty where there is none.
    """

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self._command = find_git() if command is None else tuple(command)
        self._repositories: dict[Path, _Repository] = {}
        self._resting: dict[Path, asyncio.TimerHandle] = {}
        self._executor = ThreadPoolExecutor(max_workers=MAX_ASKED_AT_ONCE, thread_name_prefix="git")

    def known(self, path: Path, root: Path) -> str | None:
        """Why a file is ignored, as a part of a sentence; "" where it is not; None where git has to be asked.

        Args:
            path: Absolute, without links in its folders.
            root: The root of the repository; without one, the folder below which lists count.
        """
        repository = self._repositories.get(root)
        return repository.known(path) if repository is not None else None

    async def learn(self, path: Path, root: Path) -> None:
        """Asks git, on a thread; returns at the latest when its time is over."""
        repository = self._repositories.setdefault(root, _Repository(root, self._command))
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, repository.learn, path)
        if (resting := self._resting.pop(root, None)) is not None:
            resting.cancel()
        self._resting[root] = loop.call_later(IDLE_S, repository.rest)

    def ask(self, path: Path, root: Path) -> str:
        """As `known`, but it waits; for a thread that alone uses this object."""
        repository = self._repositories.setdefault(root, _Repository(root, self._command))
        known = repository.learn(path)
        return _LATE if known is None else known

    def close(self) -> None:
        """Ends the processes; questions under way come to nothing."""
        for resting in self._resting.values():
            resting.cancel()
        for repository in self._repositories.values():
            repository.close()
        self._executor.shutdown(wait=False, cancel_futures=True)


class _Repository:
    """One repository, and the process that is asked about it, by one thread at a time."""

    def __init__(self, root: Path, command: Sequence[str]) -> None:
        self._root, self._command = root, command
        self._git = (*command, *SAFE_OPTIONS, "-C", os.fspath(root))
        self._answers: dict[Path, _Answer] = {}
        self._turn = threading.Lock()
        self._process: IgnoreProcess | None = None
        self._given_up_s = -GIVEN_UP_S
        self._is_closed = False

    def known(self, path: Path) -> str | None:
        answer = self._answers.get(path)
        if answer is None or time.monotonic() - answer.asked_s > MAX_AGE_S:
            return None
        return answer.reason if _stamps(answer.stamps) == answer.stamps else None

    def learn(self, path: Path) -> str | None:
        """What is known then; None once it is closed."""
        with self._turn:
            if self._is_closed:
                return None
            if (known := self.known(path)) is not None:
                return known
            asked_s = time.monotonic()
            stamps = _stamps(self._deciding_files(path))
            if len(self._answers) >= MAX_ANSWERS:
                self._answers.clear()
            reason = self._reason(path, stamps)
            self._answers[path] = _Answer(reason=reason, stamps=stamps, asked_s=asked_s)
            return reason

    def rest(self) -> None:
        """Ends the process unless it is being asked."""
        if self._turn.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._turn.release()

    def close(self) -> None:
        self._is_closed = True
        process = self._process
        if process is not None:
            process.end()

    def _reason(self, path: Path, stamps: Mapping[Path, Stamp]) -> str:
        odd = next((file for file, stamp in stamps.items() if stamp[:1] == _ENDLESS), None)
        if odd is not None:
            return Sentence("{name} beside it is no regular file", name=odd.name)
        if time.monotonic() - self._given_up_s < GIVEN_UP_S:
            return _LATE
        try:
            pattern = self._pattern(path, stamps)
            if not pattern or pattern.startswith("!") or (self._has_git and self._is_tracked(path)):
                return ""
        except (LateError, subprocess.TimeoutExpired):
            logger.warning("git took too long to say what it ignores in %s", self._root)
            self._given_up_s = time.monotonic()
            self._end()
            return _LATE
        except (RefusedError, OSError, ValueError) as error:
            logger.warning("What git ignores in %s cannot be told: %s", self._root, error)
            self._end()
            return Sentence("what git ignores cannot be told")
        return Sentence("git ignores it by {pattern}", pattern=pattern)

    def _pattern(self, path: Path, stamps: Mapping[Path, Stamp]) -> str:
        """The pattern that decides about a file; "" where none does."""
        if self._has_git:
            try:
                # Without the index, where a name with signs of a pattern would be looked up as one.
                return self._match(
                    (*self._git, "check-ignore", "--no-index", "--stdin", "-z", "-v", "-n"), path, stamps
                )
            except (RefusedError, OSError) as error:
                logger.info("git does not say what it ignores in %s: %s", self._root, error)
                self._end()
        if all(stamp == _MISSING for file, stamp in stamps.items() if file.name in _LISTS):
            return ""
        own_reading = (sys.executable, "-I", "-m", "lsp_server.context.ignore_lists", os.fspath(self._root))
        return self._match(own_reading, path, stamps)

    def _match(self, command: Sequence[str], path: Path, stamps: Mapping[Path, Stamp]) -> str:
        process = self._process
        if process is None or process.command != command or not process.is_valid_for(stamps):
            self._end()
            process = self._process = IgnoreProcess(command)
        process.stamps.update(stamps)
        return process.match(path, TIME_LIMIT_S)

    def _is_tracked(self, path: Path) -> bool:
        command = (*self._git, "--literal-pathspecs", "ls-files", "--error-unmatch", "-z", "--", os.fspath(path))
        done = subprocess.run(  # noqa: S603 - git, with its options made safe
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=safe_environment(), timeout=TIME_LIMIT_S, check=False,
        )  # fmt: skip
        return done.returncode == 0

    @property
    def _has_git(self) -> bool:
        return bool(self._command) and _git_folder(self._root) is not None

    def _deciding_files(self, path: Path) -> list[Path]:
        """The files that an answer depends on: lists, the index, configurations."""
        parents = list(path.parents)
        folders = parents[: parents.index(self._root) + 1] if self._root in parents else []
        config = _config_folder()
        files = [*(folder / ".gitignore" for folder in folders), config / "git" / "ignore", config / "git" / "config"]
        files.append(Path.home() / ".gitconfig")
        git_folder = _git_folder(self._root)
        if git_folder is not None:
            common = _common_folder(git_folder)
            files += [
                git_folder / "index",
                git_folder / "config.worktree",
                common / "config",
                common / "info" / "exclude",
            ]
        return files

    def _end(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None


def repository_root(path: Path) -> Path | None:
    """The innermost folder above a file that has a .git; None without one."""
    return next((folder for folder in path.parents if (folder / ".git").exists()), None)


def _stamps(files: Iterable[Path]) -> dict[Path, Stamp]:
    return {file: _stamp(file) for file in files}


def _stamp(file: Path) -> Stamp:
    """What tells one content of a file from another; begins with -1 where opening it might never end."""
    try:
        listed = file.lstat()
        if stat.S_ISLNK(listed.st_mode) and file.name != ".gitignore":  # git follows links to the others
            listed = file.stat()
    except OSError:
        return _MISSING
    is_harmless = stat.S_ISREG(listed.st_mode) or stat.S_ISDIR(listed.st_mode) or stat.S_ISLNK(listed.st_mode)
    stamp = (listed.st_mtime_ns, listed.st_ctime_ns, listed.st_size, listed.st_ino)
    return stamp if is_harmless else (*_ENDLESS, *stamp)


@functools.lru_cache(maxsize=64)
def _pointed_at(file: Path, _: Stamp, prefix: str) -> Path | None:
    """Where a small file of git's leads, such as the .git of a worktree."""
    try:
        with file.open(encoding="utf-8") as opened:
            text = opened.read(4096).strip()
    except (OSError, ValueError):
        return None
    return file.parent / text.removeprefix(prefix).strip() if text.startswith(prefix) else None


def _git_folder(root: Path) -> Path | None:
    dot_git = root / ".git"
    stamp = _stamp(dot_git)
    if stamp == _MISSING or stamp[:1] == _ENDLESS:
        return None
    return dot_git if dot_git.is_dir() else _pointed_at(dot_git, stamp, "gitdir:")


def _common_folder(git_folder: Path) -> Path:
    file = git_folder / "commondir"
    stamp = _stamp(file)
    is_file = stamp != _MISSING and stamp[:1] != _ENDLESS
    return (_pointed_at(file, stamp, "") if is_file else None) or git_folder


def _config_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
