"""What a script tells that runs in a process of its own, where nothing is imported yet."""

import json
import subprocess
import sys
from typing import Any


def told_by(script: str, *arguments: str) -> dict[str, Any]:
    """The JSON that a script of Python prints."""
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told
