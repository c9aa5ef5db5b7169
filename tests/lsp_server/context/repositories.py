"""What tests do in a repository of git's, and how they ask about it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from lsp_server.context.git_ignore import GitIgnores


def git(*arguments: str, cwd: Path | None = None) -> None:
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *author, *arguments], cwd=cwd, check=True, capture_output=True)


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


async def reason(ignores: GitIgnores, path: Path, root: Path) -> str | None:
    await ignores.learn(path, root)
    return ignores.known(path, root)
