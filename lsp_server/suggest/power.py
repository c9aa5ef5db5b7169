"""`read_power`: whether this machine runs on mains or on battery just now, or that nobody can tell.

On Linux the kernel's own folder is read, because psutil looks at one battery and at two names of chargers. A battery
inside a mouse is none of the machine's. It decides nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, cast

Power = Literal["mains", "saver", "battery", "unknown"]
"""Saver: on mains, but the person has asked the system to save."""

LINUX_SUPPLIES = Path("/sys/class/power_supply")
LINUX_PROFILE = Path("/sys/firmware/acpi/platform_profile")


def read_power(system: str = sys.platform, supplies: Path = LINUX_SUPPLIES, profile: Path = LINUX_PROFILE) -> Power:
    """Asks the system; takes well under a millisecond.

    Args:
        system: The platform, as Python calls it.
        supplies: Where Linux keeps its chargers and batteries.
        profile: Where Linux keeps the profile that the person has chosen.
    """
    if system == "linux":
        power = _of_supplies(supplies)
        return "saver" if power == "mains" and _read(profile) == "low-power" else power
    import psutil

    battery = psutil.sensors_battery()
    if battery is None:
        return "mains"  # a machine without a battery
    plugged = cast("bool | None", battery.power_plugged)  # its type does not say that it may be unknown
    return "unknown" if plugged is None else "mains" if plugged else "battery"


def _of_supplies(supplies: Path) -> Power:
    try:
        folders = sorted(supplies.iterdir())
    except OSError:
        return "mains"  # a container, or a machine whose kernel knows no supplies
    ours = [folder for folder in folders if _read(folder / "scope") != "Device"]
    chargers = [_read(folder / "online") for folder in ours if _read(folder / "type") in {"Mains", "USB", "Wireless"}]
    batteries = [
        _read(folder / "status")
        for folder in ours
        if _read(folder / "type") == "Battery" and _read(folder / "present") != "0"
    ]
    if not batteries or "1" in chargers:
        return "mains"
    if "Discharging" in batteries or "0" in chargers:
        return "battery"
    # Full or at the limit that its owner set: no charger says so, but no battery gives either.
    return "mains" if set(batteries) <= {"Charging", "Full", "Not charging"} else "unknown"


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
