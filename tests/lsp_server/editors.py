"""What tests of real editors share: the lines of .github/EDITORS.md, the environment, and what is left behind."""

import os
import re
import sys
from pathlib import Path

import psutil

_PAGE = (Path(__file__).parents[2] / ".github" / "EDITORS.md").read_text(encoding="utf-8")
_GOES_WITHIN_S = 15.0


def blocks(section: str, language: str) -> list[str]:
    """The code of one section of the page."""
    text = _PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """An editor's: with our command first, and folders of its own for all but models."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_STATE_HOME": str(folder / "state"),
        **variables,
    }


def still_there(pids: list[int]) -> list[int]:
    """Which of some processes do not end by themselves."""
    processes = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(processes, timeout=_GOES_WITHIN_S)
    return [process.pid for process in alive]
