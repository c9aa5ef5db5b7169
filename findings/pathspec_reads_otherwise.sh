#!/usr/bin/env bash
# pathspec 1.1.1: five kinds of .gitignore patterns mean something else to GitIgnoreSpec than to git (2.39.5, Linux).
#
#   pattern        file          git      pathspec
#   a?c            aéc           kept     ignored    git matches bytes in any locale, and é has two
#   a??c           aéc           ignored  kept
#   [é]            é             kept     ignored    a class holds single bytes, too
#   [[:alpha:]]x   bx            ignored  kept       named classes
#   [a\-z]         b             kept     ignored    an escaped hyphen in a class makes no range
#   [a\-z]         -             ignored  kept
#   [\]]           ]             ignored  kept       an escaped bracket does not end a class
#   dir/**/        dir/f         kept     ignored    only folders below, and what is in them
# Who must leave alone what git ignores had better ask `git check-ignore --no-index --stdin`. Needs git, and makes a repository
# of its own. Exits non-zero when any of these is read alike.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pathspec==1.1.1
git init -q "$folder/repository"
git --version
"$folder/venv/bin/python" - "$folder/repository" <<'PYTHON'
import subprocess
import sys
import warnings
from pathlib import Path

from pathspec import GitIgnoreSpec

warnings.simplefilter("ignore")
CASES = [
    ("a?c", "aéc"),
    ("a??c", "aéc"),
    ("[é]", "é"),
    ("[[:alpha:]]x", "bx"),
    (r"[a\-z]", "b"),
    (r"[a\-z]", "-"),
    (r"[\]]", "]"),
    ("dir/**/", "dir/f"),
]
repository = Path(sys.argv[1])
(repository / "dir").mkdir()
n_alike = 0
for pattern, name in CASES:
    (repository / ".gitignore").write_text(pattern + "\n", encoding="utf-8")
    command = ["git", "-C", str(repository), "check-ignore", "-q", "--no-index", name]
    by_git = subprocess.run(command, check=False).returncode == 0
    by_pathspec = GitIgnoreSpec.from_lines([pattern]).match_file(name)
    print(f"{pattern:13} {name:6} git {'ignores' if by_git else 'keeps':8} pathspec {'ignores' if by_pathspec else 'keeps'}")
    n_alike += by_git == by_pathspec
sys.exit(n_alike > 0)
PYTHON
