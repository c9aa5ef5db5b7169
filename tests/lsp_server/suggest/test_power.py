from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import psutil
import pytest

from lsp_server.suggest.power import read_power

if TYPE_CHECKING:
    from pathlib import Path

Supplies = dict[str, dict[str, str]]

CHARGER_IN = {"type": "Mains", "online": "1"}
CHARGER_OUT = {"type": "Mains", "online": "0"}


def battery(status: str, **more: str) -> dict[str, str]:
    return {"type": "Battery", "status": status, **more}


@pytest.mark.parametrize(
    ("supplies", "power"),
    [
        ({}, "mains"),
        ({"AC": CHARGER_IN, "BAT0": battery("Charging")}, "mains"),
        ({"AC": CHARGER_OUT, "BAT0": battery("Discharging")}, "battery"),
        # A charger of another name, at the limit that its owner has set.
        ({"ADP1": CHARGER_IN, "BAT0": battery("Not charging")}, "mains"),
        ({"ACAD": CHARGER_OUT, "BAT0": battery("Not charging")}, "battery"),
        # The first battery is full and rests, the second one gives.
        ({"AC": CHARGER_OUT, "BAT0": battery("Full"), "BAT1": battery("Discharging")}, "battery"),
        ({"BAT0": battery("Full"), "BAT1": battery("Discharging")}, "battery"),
        # A mouse, a headset and a keyboard on a desktop.
        ({"hidpp_battery_0": battery("Discharging", scope="Device", capacity="40")}, "mains"),
        ({"mouse": battery("Discharging", scope="Device"), "BAT0": battery("Unknown")}, "unknown"),
        # USB-C, and a slot without a battery in it.
        ({"ucsi-source-psy-1": {"type": "USB", "online": "1"}, "BAT0": battery("Charging")}, "mains"),
        ({"AC": CHARGER_IN, "BAT0": battery("Full"), "BAT1": battery("Unknown", present="0")}, "mains"),
        ({"BAT0": battery("Full")}, "mains"),
    ],
)
def test_linux_is_asked_for_every_charger_and_battery_of_the_machine(
    supplies: Supplies, power: str, tmp_path: Path
) -> None:
    for name, files in supplies.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(f"{text}\n")

    assert read_power("linux", tmp_path, tmp_path / "profile") == power


def test_a_machine_on_mains_may_be_asked_to_save(tmp_path: Path) -> None:
    (tmp_path / "profile").write_text("low-power\n")

    assert read_power("linux", tmp_path / "nowhere", tmp_path / "profile") == "saver"


@pytest.mark.parametrize(
    ("plugged", "power"), [(True, "mains"), (False, "battery"), (None, "unknown"), ("no battery", "mains")]
)
def test_other_systems_are_asked_through_psutil(plugged: object, power: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = None if plugged == "no battery" else SimpleNamespace(percent=40, power_plugged=plugged)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: found)

    assert read_power("darwin") == power
