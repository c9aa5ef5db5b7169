"""`PrivateFiles`: which files are neither completed nor read as context, and by which pattern.

Three lists: the user's own, which has the last word; names that secrets usually have; and what git ignores. In doubt a
file is private. It knows no editor and no settings, and of the files it judges it reads none.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import sys
import time
import unicodedata
import warnings
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from engine.sentences import Sentence
from lsp_server.context.git_ignore import GitIgnores, repository_root
from lsp_server.context.secret_names import originals, possible_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pathspec import GitIgnoreSpec
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

NOT_KNOWN_YET = Sentence("git has not said yet whether it ignores it")
UNREADABLE = Sentence("its place on the disk cannot be looked at")
_MOST_ALTERNATIVES = 1000  # of one pattern
_MOMENT_S = 1.0  # in which a file's links and repository stay: each key asks twice, of all files that have a say
_MAX_KEPT = 4096  # names whose verdict is kept
_MOST_SPECS = 256  # sets of patterns that a name may match
_FOLDS_CASE = sys.platform in {"win32", "darwin"}
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_HOME = re.compile(r"(?:~|\$HOME|\$\{(?:env:)?HOME\}|\$\{userHome\}|%USERPROFILE%)(?=[/\\]|\Z)")
_WORKSPACE = re.compile(r"\A\$\{workspaceFolder\}(?=[/\\])")  # as other settings of editors have it
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_CLASS = re.compile(r"(?<!\\)\[([^\[\]]+)\]")  # of letters, and the name of many a folder
_SEPARATOR = re.compile(r"\\(?=[\w.*{-]|\Z)|//+")  # behind a folder, to who writes paths as Windows does, or by parts
_HAS_MEANING = re.compile(r"[^\s/!]")


class PrivateFiles:
    """Judges files by name. Belongs to one event loop.

    Args:
        patterns: The user's own, in the language of .gitignore, absolute ones and those from "~" on among them; a later
            one outweighs an earlier one, and "!" makes an exception to everything. What is no pattern is passed over.
        folders: The workspace's, which the user's patterns are relative to.
        git: Whom to ask what git ignores.
    """

    def __init__(
        self, patterns: Sequence[str] = (), folders: Sequence[Path] = (), *, git: GitIgnores | None = None
    ) -> None:
        self._own = _spec(one for each in patterns for one in _meanings(each))
        self._folders = tuple(folders)
        self._git = git or GitIgnores()
        self._by_name: dict[Path, str | None] = {}
        self._looked: dict[Path, tuple[float, list[tuple[Path, Path | None]]]] = {}

    def reason(self, path: Path) -> str:
        """Why a file is private, as a part of a sentence; "" where it may be completed and read.

        It never waits. A file is private until git has answered about it, and again when git has to be asked anew; see
        `learn`.

        Args:
            path: Absolute; the file itself need not exist. A link is judged by its own name and by its target's.
        """
        try:
            places = self._places(path)
        except (OSError, ValueError):  # no permission, too many links, a NUL
            return UNREADABLE
        return next((reason for name, root in places if (reason := self._reason(name, root))), "")

    def reason_by_name(self, path: Path) -> str:
        """The same without what git ignores: for a file that git has named. From a thread that alone asks this."""
        return self._kept_reason_by_name(path) or ""

    def reason_at_once(self, path: Path) -> str:
        """The same as `reason`, but it waits for git where that has to be asked. From such a thread as well."""
        by_name = self._kept_reason_by_name(path)
        if by_name is not None:
            return by_name
        root = self._asked_at(path)
        return "" if root is None else self._git.ask(path, root)

    async def learn(self, paths: Iterable[Path]) -> None:
        """Asks git about files, where it has to be asked, until it answers or its time is over."""
        asked = [self._git.learn(name, root) for path in paths for name, root in self._unknown(path)]
        if asked:
            await asyncio.gather(*asked)

    def _unknown(self, path: Path) -> list[tuple[Path, Path]]:
        """What git must be asked about a file, with the repositories."""
        try:
            places = self._places(path)
        except (OSError, ValueError):
            return []
        return [(name, root) for name, root in places if root is not None and self._git.known(name, root) is None]

    def _places(self, path: Path) -> list[tuple[Path, Path | None]]:
        """The names of a file, each with the repository whose git has a say about it, as they were a moment ago.

        Raises:
            ValueError: No file can be called so.
            OSError: Its place on the disk cannot be looked at.
        """
        now_s = time.monotonic()
        looked_s, places = self._looked.get(path, (-math.inf, []))
        if now_s - looked_s > _MOMENT_S:
            places = [(name, self._asked_at(name)) for name in _names(path)]
            if len(self._looked) >= _MAX_KEPT:
                self._looked.clear()
            self._looked[path] = now_s, places
        return places

    def _reason(self, path: Path, root: Path | None) -> str:
        by_name = self._kept_reason_by_name(path)
        if by_name is not None:
            return by_name
        known = self._git.known(path, root) if root is not None else ""
        return NOT_KNOWN_YET if known is None else known

    def _kept_reason_by_name(self, path: Path) -> str | None:
        if path not in self._by_name:
            if len(self._by_name) >= _MAX_KEPT:
                self._by_name.clear()
            self._by_name[path] = self._reason_by_name(path)
        return self._by_name[path]

    def _reason_by_name(self, path: Path) -> str | None:
        """None where the name alone does not tell."""
        index = max(
            (index for name in self._own_names(path) if (index := _last(self._own, name)) is not None), default=-1
        )
        if self._own is not None and index >= 0:
            own = self._own.patterns[index]
            if not own.include:
                return ""
            return Sentence("the setting greenCode.privateFiles has {pattern}", pattern=_text(own))
        for name, is_own in originals(path.as_posix().lower().lstrip("/")).items():
            secret = _secret_spec(possible_secrets(name))
            last = _last(secret, name)
            if secret is not None and last is not None and secret.patterns[last].include:
                pattern = _text(secret.patterns[last])
                if is_own:
                    return Sentence("{pattern} is a usual name of secrets", pattern=pattern)
                return Sentence("{pattern} is a usual name of secrets, of which it may be a copy", pattern=pattern)
        return None

    def _own_names(self, path: Path) -> Iterator[str]:
        """As the user's patterns may mean a file: inside each folder of the workspace, and on the whole disk."""
        for folder in (*self._folders, None):
            if folder is None or path.is_relative_to(folder):
                name = (path.relative_to(folder) if folder else path).as_posix().lstrip("/")
                yield _spelled(name)

    def _asked_at(self, path: Path) -> Path | None:
        """The repository of a file; without one, its folder of the workspace, whose lists count as well."""
        if self._kept_reason_by_name(path) is not None:
            return None
        folder = next((folder for folder in self._folders if path.is_relative_to(folder)), None)
        return repository_root(path) or folder


def is_pattern(text: str) -> bool:
    """True for one pattern of the user's that matches something, or takes something off a list."""
    return _spec(_meanings(text)) is not None


def is_remark(text: str) -> bool:
    """True for an empty line of a .gitignore, or a comment."""
    return not text.strip() or text.startswith("#")


def _names(path: Path) -> list[Path]:
    """As a file may be called: as it is, without links in its folders, and as what it leads to.

    Raises:
        ValueError: No file can be called so.
        OSError: Its place on the disk cannot be looked at.
    """
    if "\0" in str(path):
        raise ValueError(path)  # as `realpath` does, but not that of Windows
    target = Path(os.path.realpath(path))
    if target == path:
        return [path]
    folder = Path(os.path.realpath(path.parent))
    # Of a link to a folder git knows the link, and nothing beyond it.
    links = [parent for parent in path.parents if parent.is_symlink()] if folder != path.parent else []
    return list(dict.fromkeys([path, folder / path.name, target, *links]))


def _from_root(pattern: str) -> str:
    """A pattern of the user's as pathspec reads it: "~" and drives as folders from the root of the disk on.

    "./" is the workspace's folder, where .gitignore has nothing of that name.
    """
    if is_remark(pattern):
        return ""
    sign, rest = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    rest = _WORKSPACE.sub(".", rest)
    if (home := _HOME.match(rest)) is not None:
        rest = _escaped(Path.home().as_posix()) + rest[home.end() :].replace("\\", "/")
    elif _DRIVE.match(rest):
        rest = rest.replace("\\", "/")
    elif rest.startswith("./"):
        rest = rest[1:]
    return sign + _spelled(rest)


def _meanings(pattern: str) -> Iterator[str]:
    """What a pattern of the user's may mean, as pathspec reads it."""
    return (one for one in islice(_alternatives(_from_root(pattern)), _MOST_ALTERNATIVES) if one)


def _alternatives(pattern: str) -> Iterator[str]:
    """A pattern, and what its brackets, braces, backslashes and blanks mean to people who know them from elsewhere.

    All take more for private: brackets themselves, braces several names, a backslash what lies in a folder, blanks
    around it nothing. An exception means what .gitignore says, and no more.
    """
    yield pattern
    if pattern.startswith("!"):
        return
    if pattern != pattern.strip():
        yield from _alternatives(pattern.strip())
    literal = _CLASS.sub(r"\\[\1\\]", pattern)
    if literal != pattern:
        yield from _alternatives(literal)
    if _SEPARATOR.search(pattern):
        yield from _alternatives(_SEPARATOR.sub("/", pattern).removeprefix("."))
    found = _BRACES.search(pattern)
    if found is not None:
        for each in found[1].split(","):
            yield from _alternatives(pattern[: found.start()] + each.strip() + pattern[found.end() :])


def _spelled(name: str) -> str:
    """A name as it is compared: letters with signs above them are written in one way."""
    name = unicodedata.normalize("NFC", name)
    return name.lower() if _FOLDS_CASE else name


def _escaped(folder: str) -> str:
    return re.sub(r"([\\*?\[\]!# ])", r"\\\1", folder)


def _last(spec: GitIgnoreSpec | None, name: str) -> int | None:
    return None if spec is None else spec.check_file(name).index


@lru_cache(maxsize=_MOST_SPECS)
def _secret_spec(patterns: tuple[str, ...]) -> GitIgnoreSpec | None:
    return _spec(patterns)


def _spec(lines: Iterable[str]) -> GitIgnoreSpec | None:
    """None where no line means anything; pathspec, which most windows never need, is imported for one that may."""
    patterns = [pattern for line in lines for pattern in _compiled(line) if pattern.include is not None]
    if not patterns:
        return None
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec(patterns)


def _compiled(line: str) -> Sequence[GitIgnoreSpecPattern]:
    """A comment and an empty line are none; git, too, passes over a line that means nothing."""
    if not _HAS_MEANING.search(line):
        return ()
    from pathspec import GitIgnoreSpec

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of re, about classes that it may come to read otherwise
            return GitIgnoreSpec.from_lines([line]).patterns
    except ValueError:
        return ()


def _text(pattern: GitIgnoreSpecPattern) -> str:
    return str(pattern.pattern)
