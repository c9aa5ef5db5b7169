"""A repository of git's, and two who know what it ignores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lsp_server.context.git_ignore import GitIgnores
from tests.lsp_server.context.repositories import git

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a user without any settings of git's."""
    home = tmp_path.resolve() / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return home


@pytest.fixture
def project(home: Path) -> Path:
    project = home.parent / "project"
    git("init", "--quiet", str(project))
    return project


@pytest.fixture
def ignores() -> Iterator[GitIgnores]:
    ignores = GitIgnores()
    yield ignores
    ignores.close()


@pytest.fixture
def own_reading() -> Iterator[GitIgnores]:
    ignores = GitIgnores(())
    yield ignores
    ignores.close()
