from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from lsp_server.settings import Settings
from lsp_server.suggest import restraint as module
from lsp_server.suggest.restraint import GREENER, Restraint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lsp_server.suggest.power import Power


class Machine:
    """A laptop whose plug, and whose session, the test holds."""

    def __init__(self) -> None:
        self.power: Power = "mains"
        self.spent_j: float | None = None
        self.changes = 0
        self.restraint = Restraint(lambda: self.power, lambda: self.spent_j, self.count)

    def count(self) -> None:
        self.changes += 1


@pytest.fixture
async def machine(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Machine]:
    monkeypatch.setattr(module, "ASK_AGAIN_S", 0.0)
    machine = Machine()
    yield machine
    machine.restraint.close()


async def test_on_battery_it_gets_greener_says_so_and_is_back_at_once_on_mains(machine: Machine) -> None:
    restraint = machine.restraint
    restraint.use(Settings(green_mode=20))
    assert (restraint.settings.green_mode, restraint.power, machine.changes) == (20, "", 0)

    machine.power = "battery"
    restraint.look()
    assert restraint.settings.green_mode == GREENER
    assert restraint.power == "On battery: green mode 50 instead of 20 (greenCode.onBattery)."

    machine.power = "mains"
    restraint.look()
    assert (restraint.settings.green_mode, restraint.power, machine.changes) == (20, "", 2)


@pytest.mark.parametrize("green_mode", [0, 50, 90])
async def test_lossless_stays_so_and_greener_than_asked_for_stays_too(machine: Machine, green_mode: int) -> None:
    machine.power = "battery"
    machine.restraint.use(Settings(green_mode=green_mode))

    assert machine.restraint.settings.green_mode == green_mode
    assert machine.restraint.power == "On battery."


@pytest.mark.parametrize(("power", "words"), [("battery", "On battery"), ("saver", "Saving power")])
async def test_it_pauses_where_the_person_wants_that(machine: Machine, power: Power, words: str) -> None:
    machine.power = power
    machine.restraint.use(Settings(on_battery="pause"))

    reason = machine.restraint.pause
    assert reason is not None
    assert (reason.kind, reason.sentence.partition(":")[0]) == ("paused", words)
    assert machine.restraint.power == ""

    machine.restraint.use(Settings(on_battery="unchanged"))
    assert machine.restraint.pause is None


@pytest.mark.parametrize("on_battery", ["greener", "pause"])
async def test_what_cannot_be_told_is_said_and_changes_nothing(machine: Machine, on_battery: str) -> None:
    machine.power = "unknown"
    settings = Settings(on_battery=on_battery)  # type: ignore[arg-type]
    machine.restraint.use(settings)

    assert (machine.restraint.settings, machine.restraint.pause) == (settings, None)
    assert "cannot be told, so nothing changes" in machine.restraint.power


async def test_above_its_budget_a_session_pauses(machine: Machine) -> None:
    machine.restraint.use(Settings(session_budget_j=500))
    reasons = []
    for machine.spent_j in (None, 499.0, 500.0):
        reasons.append(machine.restraint.pause)

    assert reasons[:2] == [None, None]
    assert reasons[2] is not None
    assert "its budget of 500 J" in reasons[2].sentence


async def test_it_looks_by_itself_and_asks_no_oftener_than_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.001)
    monkeypatch.setattr(module, "ASK_AGAIN_S", 3600.0)
    asked: list[float] = []
    told = asyncio.Event()

    def read_power() -> Power:
        asked.append(time.monotonic())
        return "battery"

    restraint = Restraint(read_power, lambda: None, told.set)
    restraint.use(Settings())

    await told.wait()
    for _ in range(5):
        restraint.look()

    assert len(asked) == 1
    restraint.close()
