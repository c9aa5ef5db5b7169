"""`Restraint`: when suggestions get greener or pause by themselves: on battery, and above the session's budget.

It answers with the reason and the settings in force, and sends nothing. Where the power cannot be told, it changes
nothing. Who asks by hand is never refused.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.sentences import Sentence
from lsp_server.settings import Settings
from lsp_server.suggest.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from lsp_server.suggest.power import Power

GREENER = 50  # green mode on battery, where it is lower; the README has what it saves
ASK_AGAIN_S = 2.0  # between two looks at the power, however many requests there are
LOOK_S = 15.0  # when nobody types

_SUPPLIES: dict[str, Sentence] = {"battery": Sentence("On battery"), "saver": Sentence("Saving power")}


class Restraint:
    """What the machine's power and the session's budget ask for just now. Belongs to the event loop.

    Args:
        read_power: Asks the system.
        spent_j: The session's energy; None while it is unknown.
        on_change: Called after each change of what it says.
    """

    def __init__(
        self, read_power: Callable[[], Power], spent_j: Callable[[], float | None], on_change: Callable[[], None]
    ) -> None:
        self._read_power = read_power
        self._spent_j = spent_j
        self._on_change = on_change
        self._settings = Settings()
        self._power: Power = "unknown"
        self._looked_s = -ASK_AGAIN_S
        self._said: tuple[Reason | None, str] = (None, "")
        self._timer: asyncio.TimerHandle | None = None

    def use(self, settings: Settings) -> None:
        """Takes over settings."""
        self._settings = settings
        self._looked_s = -ASK_AGAIN_S
        self.look()

    def look(self) -> None:
        """Asks the system again, unless that was done just now, and tells what has changed."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= ASK_AGAIN_S:
            self._looked_s = now_s
            self._power = self._read_power()
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self.look)
        says = (self.pause, self.power)  # this names the green mode
        if says != self._said:
            self._said = says
            self._on_change()

    def close(self) -> None:
        """Looks no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def settings(self) -> Settings:
        """The settings in force. What is lossless stays so."""
        settings = self._settings
        if not self._is_saving or settings.on_battery != "greener" or not 0 < settings.green_mode < GREENER:
            return settings
        return replace(settings, green_mode=GREENER)

    @property
    def pause(self) -> Reason | None:
        """Why nothing is offered unless asked by hand; None where something is."""
        budget_j, spent_j = self._settings.session_budget_j, self._spent_j()
        if self._is_saving and self._settings.on_battery == "pause":
            supply = _SUPPLIES[self._power]
            return Reason(
                "paused",
                Sentence("{supply}: suggestions pause (greenCode.onBattery); asking by hand gets one.", supply=supply),
            )
        if budget_j is not None and spent_j is not None and spent_j >= budget_j:
            return Reason(
                "paused",
                Sentence(
                    "The session has spent its budget of {budget_j} J (greenCode.sessionBudgetJ); asking by hand gets "
                    "a suggestion, a new session more.",
                    budget_j=budget_j,
                ),
            )
        return None

    @property
    def power(self) -> str:
        """The power and what follows from it, for people."""
        if self._power == "unknown":
            return Sentence("Whether this machine runs on battery cannot be told, so nothing changes.")
        if not self._is_saving or self._settings.on_battery == "pause":
            return ""  # of a pause its reason tells
        supply, settings = _SUPPLIES[self._power], self.settings
        if settings == self._settings:
            return Sentence("{supply}.", supply=supply)
        return Sentence(
            "{supply}: green mode {now} instead of {usual} (greenCode.onBattery).",
            supply=supply,
            now=settings.green_mode,
            usual=self._settings.green_mode,
        )

    @property
    def _is_saving(self) -> bool:
        return self._power in _SUPPLIES
