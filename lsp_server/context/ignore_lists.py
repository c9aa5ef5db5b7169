"""A reading of our own of .gitignore files, for where git itself cannot be asked: `python -m` with a folder.

It answers as `git check-ignore --stdin -z -v -n` does, and is a process of its own for the same reason: a list made to
be slow is given up by ending the process. pathspec reads the patterns. Where git would see less than it does, it sees
more: a pattern it cannot read exactly ignores at least what git would, and an exception it cannot read is none.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pathspec import GitIgnoreSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LIST_BYTES = 1_000_000
_GITIGNORE = ".gitignore"
_STARS = re.compile(r"(!?)/?(?:\*\*/)*\*{1,2}(/?)|(!?)/?(?:\*\*/)*\*\*(/)")
_CLASS = re.compile(r"(\\.)|\[[!^]?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]")


class IgnoreRule(NamedTuple):
    """One line of a list; `paths` matches in full the files, and the folders with "/" behind them, that it means."""

    source: str
    line: int
    pattern: str
    paths: re.Pattern[str]


def deciding_rule(root: Path, path: Path) -> IgnoreRule | None:
    """The line that decides about a file, an exception among them; None where no line speaks of it.

    Git's own order: from the root down, for nothing comes back inside an ignored folder.

    Raises:
        OSError: A list cannot be read, or is too long to be one.
    """
    folders = [root]
    for name in path.relative_to(root).parts[:-1]:
        folders.append(folders[-1] / name)
    rule = None
    for depth, below in enumerate((*folders[1:], path), start=1):
        end = "" if below is path else "/"
        relative = {folder: below.relative_to(folder).as_posix() + end for folder in folders[:depth]}
        rules = (
            rule
            for folder in reversed(folders[:depth])
            for listed in _lists_of(folder, root)
            for rule in reversed(_read(listed))
            if rule.paths.fullmatch(relative[folder])
        )
        rule = next(rules, None)
        if rule is not None and not rule.pattern.startswith("!"):
            return rule
    return rule


def _lists_of(folder: Path, root: Path) -> Iterator[Path]:
    """The lists that speak of what is in a folder, the weightiest first."""
    yield folder / _GITIGNORE
    if folder == root:
        yield folder / ".git" / "info" / "exclude"
        yield Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "git" / "ignore"


def _read(path: Path) -> list[IgnoreRule]:
    try:
        listed = path.lstat()
        if stat.S_ISLNK(listed.st_mode) and path.name == _GITIGNORE:  # which git follows no more
            return []
        if not stat.S_ISREG(path.stat().st_mode):
            return []
    except (FileNotFoundError, NotADirectoryError):  # most folders have none
        return []
    if listed.st_size > MAX_LIST_BYTES:
        raise OSError(f"{path} is too long for a list")
    text = path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape")
    return [rule for line, pattern in enumerate(text.split("\n"), start=1) for rule in _rules(str(path), line, pattern)]


def _rules(source: str, number: int, line: str) -> Iterator[IgnoreRule]:
    line = line.removesuffix("\r")
    stripped = line.strip()
    readable = _CLASS.sub(lambda found: found[1] or "?", line)  # pathspec reads a class otherwise than git
    if readable != line and stripped.startswith("!"):
        return
    # `x/**` is what a folder holds; pathspec takes it for the folder as well. Stars alone it reads too narrowly.
    readable = readable.rstrip().removesuffix("*") if stripped.endswith("/**") else readable
    if (stars := _STARS.fullmatch(stripped)) and stripped.lstrip("!") != "/*":
        sign, slash = stars[1] or stars[3] or "", stars[2] or stars[4] or ""
        readable = f"{sign}?*{slash}"
    try:
        patterns = GitIgnoreSpec.from_lines([readable]).patterns
    except ValueError:  # git, too, passes over a line that means nothing
        return
    for pattern in patterns:
        if pattern.include is not None and pattern.regex is not None:
            yield IgnoreRule(source=source, line=number, pattern=stripped, paths=pattern.regex)


def main() -> None:
    """Answers each path on the standard input until that ends."""
    warnings.simplefilter("ignore")
    root = Path(os.fsdecode(os.fsencode(sys.argv[1])))
    pending = b""
    while chunk := os.read(0, 65536):
        *paths, pending = (pending + chunk).split(b"\0")
        for raw in paths:
            rule = deciding_rule(root, Path(os.fsdecode(raw)))
            fields = (rule.source, str(rule.line), rule.pattern) if rule else ("", "", "")
            os.write(1, b"".join(os.fsencode(field) + b"\0" for field in fields) + raw + b"\0")


if __name__ == "__main__":
    main()
