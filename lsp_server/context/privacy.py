"""`PrivateFiles`: which files are neither completed nor read as context, and by which pattern.

Three lists, all in the language of .gitignore (pathspec reads it): the user's own, which has the last word; names that
secrets usually have; and what git ignores. It knows no editor and no settings, and of the files it judges it reads
none, only the lists beside them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pathspec import GitIgnoreSpec

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator, Sequence

    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

SECRET_NAMES = (
    *("*.env", ".env", ".env.*", "!.env.example", "!.env.sample", "!.env.template", ".envrc", ".dev.vars"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.der", "*.crt", "*.cert", "*.ppk", "*.gpg", "*.asc"),
    *("*.jks", "*.keystore", "*.kdbx", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
    *(".ssh/", ".aws/", ".azure/", ".gnupg/", ".kube/", ".docker/config.json", ".secrets/"),
    *(".netrc", "_netrc", ".npmrc", ".pypirc", ".git-credentials", ".htpasswd", ".pgpass", ".my.cnf"),
    *("credentials", "credentials.*", "client_secret*.json", "service-account*.json", "service_account*.json"),
    *("secrets.yml", "secrets.yaml", "secrets.json", "secrets.toml", "secrets.ini", "*.tfvars", "*.tfstate"),
)
"""Of keys, credentials and environments; matched in lower case, anywhere on the disk."""

_MAX_LISTS = 512  # read lists that are kept
_GITIGNORE = ".gitignore"
_SPELLED_OUT = {"*": "?*", "!*": "!?*", "*/": "?*/", "!*/": "!?*/"}
_Stamp = tuple[int, int]  # a file's time of change in nanoseconds, and its size


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """One line of a list; `paths` matches in full the files, and the folders with "/" behind them, that it means."""

    pattern: str
    excludes: bool  # False for an exception, "!pattern"
    paths: re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    stamp: _Stamp
    rules: tuple[_Rule, ...]


class PrivateFiles:
    """Judges files by name; a changed .gitignore counts from the next question on.

    Args:
        patterns: The user's own; a later one outweighs an earlier one, and "!" makes an exception to everything.
        folders: The workspace's, which the user's patterns are relative to.
    """

    def __init__(self, patterns: Sequence[str] = (), folders: Sequence[Path] = ()) -> None:
        self._own = _spec(patterns)
        self._secret = _spec(SECRET_NAMES)
        self._folders = tuple(folders)
        self._lists: dict[Path, _List] = {}

    def reason(self, path: Path) -> str:
        """Why a file is private, as a part of a sentence; "" where it may be completed and read.

        Args:
            path: Absolute; the file itself need not exist. A link is judged by its own name and by its target's.
        """
        target = Path(os.path.realpath(path))
        return self._reason(path) or (self._reason(target) if target != path else "")

    def _reason(self, path: Path) -> str:
        own = self._own.check_file(self._below_folder(path))
        if own.index is not None:
            return f"the setting greenCode.privateFiles has {_text(self._own, own.index)}" if own.include else ""
        secret = self._secret.check_file(_from_root(path).lower())
        if secret.index is not None and secret.include:
            return f"{_text(self._secret, secret.index)} is a usual name of secrets"
        return self._ignored_by_git(path)

    def _below_folder(self, path: Path) -> str:
        for folder in self._folders:
            if path.is_relative_to(folder):
                return path.relative_to(folder).as_posix()
        return _from_root(path)

    def _ignored_by_git(self, path: Path) -> str:
        """Git's own order: from the root down, for nothing comes back inside an ignored folder."""
        root = self._root_of(path)
        if root is None:
            return ""
        folders = [root]
        for name in path.relative_to(root).parts[:-1]:
            folders.append(folders[-1] / name)
        for depth, below in enumerate((*folders[1:], path), start=1):
            end = "" if below is path else "/"
            relative = {folder: below.relative_to(folder).as_posix() + end for folder in folders[:depth]}
            rules = (
                rule
                for folder in reversed(folders[:depth])
                for listed in _lists_of(folder, root)
                for rule in reversed(self._read(listed))
                if rule.paths.fullmatch(relative[folder])
            )
            rule = next(rules, None)
            if rule is not None and rule.excludes:
                return f"git ignores it by {rule.pattern}"
        return ""

    def _root_of(self, path: Path) -> Path | None:
        """The repository of a file; without one, its folder of the workspace."""
        for folder in path.parents:
            if (folder / ".git").exists():
                return folder
        return next((folder for folder in self._folders if path.is_relative_to(folder)), None)

    def _read(self, path: Path) -> tuple[_Rule, ...]:
        try:
            stat = path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            known = self._lists.get(path)
            if known is None or known.stamp != stamp:
                known = _List(stamp=stamp, rules=_rules(path.read_text(encoding="utf-8", errors="replace")))
                if len(self._lists) >= _MAX_LISTS:
                    self._lists.clear()
                self._lists[path] = known
        except OSError:  # most folders have none
            return ()
        return known.rules


def is_pattern(text: str) -> bool:
    """True for one line of a .gitignore that matches something."""
    return bool(_spec([text]).patterns)


def _lists_of(folder: Path, root: Path) -> Iterator[Path]:
    """The lists that speak of what is in a folder, the weightiest first."""
    yield folder / _GITIGNORE
    if folder == root:
        yield folder / ".git" / "info" / "exclude"
        yield Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "git" / "ignore"


def _rules(text: str) -> tuple[_Rule, ...]:
    """The lines of a .gitignore."""
    rules = []
    for line in text.splitlines():
        # Only what a folder holds, which pathspec does not tell from the folder itself; and what it writes too short.
        stripped = line.strip()
        line_for_paths = line.rstrip().removesuffix("*") if stripped.endswith("/**") else line
        line_for_paths = _SPELLED_OUT.get(stripped, line_for_paths)
        rules += [
            _Rule(pattern=stripped, excludes=bool(pattern.include), paths=pattern.regex)
            for pattern in _spec([line_for_paths]).patterns
            if pattern.regex is not None
        ]
    return tuple(rules)


def _spec(lines: Iterable[str]) -> GitIgnoreSpec:
    return GitIgnoreSpec([pattern for line in lines for pattern in _compiled(line) if pattern.include is not None])


def _compiled(line: str) -> Sequence[GitIgnoreSpecPattern]:
    """A comment and an empty line are none; git, too, passes over a line that means nothing."""
    try:
        return GitIgnoreSpec.from_lines([line]).patterns
    except ValueError:
        return ()


def _text(spec: GitIgnoreSpec, index: int) -> str:
    return str(spec.patterns[index].pattern)


def _from_root(path: Path) -> str:
    return path.relative_to(path.anchor).as_posix()
