from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

import pytest

from lsp_server.settings import parse_settings
from lsp_server.suggest import quiet
from lsp_server.suggest.quiet import Quiet

URI = "untitled:Untitled-1"


class WallClock:
    """Shows what the test says."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 9, 0, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def told() -> list[str]:
    return []


def refusal(quiet: Quiet, *, is_invoked: bool = False) -> str:
    reason = quiet.refusal(URI, "python", is_invoked=is_invoked)
    return reason.sentence if reason else ""


async def test_a_snooze_lets_only_those_through_who_ask_by_hand(clock: WallClock, told: list[str]) -> None:
    quiet = Quiet(told.append, now=clock)

    quiet.snooze(30)

    assert refusal(quiet) == "Snoozed until 09:30."
    assert refusal(quiet, is_invoked=True) == ""
    quiet.close()


async def test_a_snooze_that_ends_while_the_machine_sleeps_is_over_when_it_wakes(
    clock: WallClock, told: list[str]
) -> None:
    quiet = Quiet(told.append, now=clock)
    quiet.snooze(30)

    clock.now += timedelta(minutes=31)  # and no timer has run

    assert refusal(quiet) == ""
    assert told == ["Snoozed until 09:30.", ""]


async def test_a_woken_machine_finds_out_without_being_asked(
    clock: WallClock, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "CLOCK_PERIOD_S", 0.001)
    asleep = Quiet(told.append, now=clock)
    asleep.snooze(30)

    clock.now += timedelta(hours=8)
    while told[-1]:
        await asyncio.sleep(0)

    assert refusal(asleep) == ""


async def test_a_clock_that_was_set_back_makes_no_snooze_longer(
    clock: WallClock, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    steady_s = 100.0
    monkeypatch.setattr("time.monotonic", lambda: steady_s)
    snoozing = Quiet(told.append, now=clock)
    snoozing.snooze(30)

    clock.now -= timedelta(hours=3)
    assert refusal(snoozing)
    steady_s += 30 * 60.0
    assert refusal(snoozing) == ""


async def test_a_snooze_of_no_minutes_ends_one(clock: WallClock, told: list[str]) -> None:
    quiet = Quiet(told.append, now=clock)
    quiet.snooze(30)

    quiet.snooze(0)

    assert (refusal(quiet), told[-1]) == ("", "")


async def test_every_refusal_has_a_reason_of_its_own(told: list[str]) -> None:
    quiet = Quiet(told.append)
    for raw, uri, reason in (
        ({"enable": False}, URI, "Completions are switched off (greenCode.enable)."),
        ({"languages": {"Python": False}}, URI, 'switched off for the language "python" (greenCode.languages).'),
        ({"privateFiles": ["*.py"]}, "file:///p/a.py", "a.py stays private: the setting greenCode.privateFiles has"),
        ({}, "file:///p/.env", ".env stays private: .env is a usual name of secrets."),
        ({}, "file:///p/%00.py", "stays private: its place on the disk cannot be looked at."),
    ):
        quiet.use(parse_settings(raw)[0], [])
        refused = quiet.refusal(uri, "python", is_invoked=True)
        assert refused is not None
        assert reason in refused.sentence
