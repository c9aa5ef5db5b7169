"""What a CPU is built to take at most: a table that ships with us. What it takes at work is for others to measure.

It is of all cores together and no figure of a completion, so no joule is made of it. It tells whoever states a power
what would be too much. GPUs are not in it: their driver tells their limit, and has a counter of joules beside it.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

TABLE = Path(__file__).with_name("cpu_power.csv")
SOURCE = "CodeCarbon, MIT"

# What systems put around a CPU's name: marks, a generation, cores, graphics, a clock.
_AROUND = re.compile(
    r"\((?:R|TM)\)|^\d+th Gen |\bCPU\b|@.*|(?:\d+|\w+)-Core Processor.*|\bProcessor\b.*|\b(?:w/|with) .*", re.IGNORECASE
)


def cpu_power_limit_w(name: str) -> float | None:
    """The power in watts that a CPU is built to be cooled for; None where the table does not know it.

    Args:
        name: As the system tells it, such as "AMD Ryzen 7 5800X 8-Core Processor".
    """
    asked = _plain(name)
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return next((float(row["power_w"]) for row in rows if _plain(row["name"]) == asked), None)


def _plain(name: str) -> str:
    return " ".join(_AROUND.sub(" ", name).casefold().split())
