"""`Books`: what became of each suggestion, told once: to the session's sums and to the ledger's rows.

It owns both, and whoever shows them is told by one call. It knows no editor and no engine.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from engine.config import data_dir
from engine.energy.carbon import carbon_intensity
from engine.energy.cost_model import CPU_ACTIVE_POWER_W
from lsp_server.books.ledger_reader import open_to_read
from lsp_server.books.reading import reading_by, reading_total
from lsp_server.books.recent import Recent
from lsp_server.books.reports import GROUPS, READING_GROUPS, models_since, sums_by
from lsp_server.books.resting import resting
from lsp_server.books.session import Session
from lsp_server.books.today import Today
from lsp_server.protocol import HistoryResult, PeriodEnergy, ProjectsEnergy

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from engine.energy.carbon import CarbonIntensity
    from engine.types import Completion
    from lsp_server.books.ledger import Ledger, Origin
    from lsp_server.books.reports import Sums
    from lsp_server.protocol import HistoryParams, SessionEnergy

logger = logging.getLogger(__name__)

TRY_AGAIN_S = 2.0  # to write what waits, though nobody types; then twice as long each time


class Books:
    """One session after the other, over one ledger. Belongs to the event loop.

    Args:
        ledger: The user's ledger; its file is opened with the first entry, or by `open`.
        on_change: Called after every change, of the warning too, but what a request has cost.
        on_computed: Called after that, before the request is answered.
        projects_cpu_s: Says what CPU time reading each project has taken so far, by its folder.

    Attributes:
        recent: The newest requests, each from its beginning.
    """

    def __init__(
        self,
        ledger: Ledger,
        on_change: Callable[[], None],
        on_computed: Callable[[], None],
        projects_cpu_s: Callable[[], Mapping[Path, float]],
    ) -> None:
        self._session = Session()
        self._projects_cpu_s = projects_cpu_s
        self._entered_cpu_s: dict[Path, float] = {}
        self._ledger = ledger
        self._today = Today()
        self.recent = Recent()
        self._on_change, self._on_computed = on_change, on_computed
        self._logged_warning = ""
        self._again: asyncio.TimerHandle | None = None
        self._again_s = TRY_AGAIN_S

    @property
    def warning(self) -> str:
        """One sentence when the ledger is not as it should be; "" when all is well."""
        return self._ledger.warning

    def open(self) -> None:
        """Opens the ledger, so that a fault is known before the first entry."""
        self._ledger.open()
        self._tell()

    def computed(self, completion_id: str, completion: Completion, origin: Origin) -> None:
        """Enters a request that reached the engine, and where it was asked."""
        self.recent.computed(completion_id, completion.energy.energy_j)
        self._session.record(completion_id, completion)
        self._ledger.add(self._session.session_id, completion_id, completion, origin)
        self._note_ledger()
        self._on_computed()

    def reused(self, completion_id: str, offered_chars: int) -> None:
        """Enters a request that an earlier completion answered, for no energy, with so many of its characters."""
        self._session.reuse(completion_id, offered_chars)
        self._ledger.reuse(completion_id, offered_chars)
        self._tell()

    def skipped(self) -> None:
        """Enters a request that never reached the engine."""
        self._session.skip()
        self._tell()

    def accepted(self, completion_id: str, accepted_chars: int | None) -> None:
        """Enters that a completion was accepted, or so many characters that were left of it; None for all of it."""
        if self._session.accept(completion_id, accepted_chars):
            self._ledger.take(completion_id, accepted_chars)
        else:
            self._ledger.accept(completion_id, accepted_chars)
        self._tell()

    def taken(self, completion_id: str, chars: int) -> None:
        """Enters that so many characters of a completion were taken, such as a word; more may follow."""
        self._session.take(completion_id, chars)
        self._ledger.take(completion_id, chars)
        self._tell()

    def read(self) -> None:
        """Enters what reading projects has taken since it was last entered."""
        if self._enter_projects():
            self._tell()

    @property
    def energy_j(self) -> float | None:
        """The session's energy; None while none is known."""
        return self._session.energy_j

    def begin_session(self) -> None:
        """Begins a new session; the ledger keeps the old one."""
        self._enter_projects()
        self._session = Session()
        self._tell()

    def totals(self, say: Callable[[str], str], *, green_mode: int, layers_total: int | None) -> SessionEnergy:
        """The session's sums, and today's of all sessions, as they are told to the client."""
        today = self._today.look(self._ledger)
        return self._session.totals(say, green_mode=green_mode, layers_total=layers_total, today=today)

    async def history(self, params: HistoryParams, say: Callable[[str], str], *, rest_after_s: float) -> HistoryResult:
        """What the ledger says of the newest days; a long one is summed up in a thread, while others are answered.

        Args:
            params: Which days, and in which parts.
            say: Says the source of carbon in the person's language.
            rest_after_s: After how many seconds without use a model is given back.

        Raises:
            ConfigError: The country is unknown, or the ledger has just become unreadable.
            MeterError: The calibration is damaged or may not be read.
        """
        carbon = carbon_intensity(params.country) if params.country else None
        sum_up = partial(_history, params, say, carbon, rest_after_s)
        self._ledger.open()  # and writes what waits
        if self._ledger.written is not None:
            return await asyncio.to_thread(_of_file, self._ledger.path, sum_up)
        with self._ledger.reading() as database:
            return sum_up(database)

    def clear_history(self) -> None:
        """Deletes all that the ledger holds; the session's sums stay."""
        self._ledger.clear()
        self._tell()

    def close(self) -> None:
        """Writes what waits and closes the ledger."""
        if self._again is not None:
            self._again.cancel()
        self._enter_projects()
        self._ledger.close()

    def _enter_projects(self) -> bool:
        """Whether there was anything to enter."""
        before, self._entered_cpu_s = self._entered_cpu_s, dict(self._projects_cpu_s())
        spent_s = {folder: cpu_s - before.get(folder, 0.0) for folder, cpu_s in self._entered_cpu_s.items()}
        for folder, cpu_s in spent_s.items():
            if cpu_s > 0.0:
                energy_j = cpu_s * CPU_ACTIVE_POWER_W
                self._session.add_reading(energy_j)
                self._ledger.add_reading(self._session.session_id, bytes(folder), cpu_s=cpu_s, energy_j=energy_j)
        return any(spent_s.values())

    def _tell(self) -> None:
        self._note_ledger()
        self._on_change()

    def _note_ledger(self) -> None:
        if self.warning and self.warning != self._logged_warning:
            logger.warning("%s", self.warning)
        self._logged_warning = self.warning
        if not self._ledger.is_behind:
            self._again_s = TRY_AGAIN_S
        elif self._again is None:
            self._again = asyncio.get_running_loop().call_later(self._again_s, self._try_again)

    def _try_again(self) -> None:
        self._again = None
        self._again_s *= 2.0
        self.open()


def _of_file(path: Path, sum_up: Callable[[sqlite3.Connection], HistoryResult]) -> HistoryResult:
    with open_to_read(path) as database:
        return sum_up(database)


def _history(
    params: HistoryParams,
    say: Callable[[str], str],
    carbon: CarbonIntensity | None,
    rest_after_s: float,
    database: sqlite3.Connection,
) -> HistoryResult:
    from engine.energy.calibration import CALIBRATION_FILE, rest_power  # with numpy: not before somebody asks

    start_s = time.time() - params.days * 86400.0
    periods = sums_by(database, params.by, start_s)
    total = sums_by(database, "", start_s)
    rest_s = sum(resting(database, start_s, most_s=rest_after_s)["hour"].values())
    rest = rest_power(data_dir() / CALIBRATION_FILE, models_since(database, start_s))
    projects_total = reading_total(database, start_s)
    projects = reading_by(database, GROUPS[params.by], start_s) if params.by in READING_GROUPS else {}
    return HistoryResult(
        periods=[_period(key, sums) for key, sums in periods.items()],
        total=_period("", total[""]) if total else None,
        carbon_g_per_kwh=carbon.g_per_kwh if carbon else None,
        carbon_source=say(carbon.source) if carbon else None,
        rest_s=rest_s,
        rest_w=rest.loaded_w if rest else None,
        rest_of_model_w=rest.of_model_w if rest else None,
        projects_j=projects_total.energy_j if projects_total else None,
        projects=[ProjectsEnergy(key=key, energy_j=read.energy_j) for key, read in projects.items()],
    )


def _period(key: str, sums: Sums) -> PeriodEnergy:
    return PeriodEnergy(
        key=key,
        energy_j=sums.energy_j,
        provenance=sums.provenance,
        prefill_j=sums.prefill_j,
        decode_j=sums.decode_j,
        policy_j=sums.policy_j,
        verification_j=sums.verification_j,
        wasted_j=sums.wasted_j,
        baseline_energy_j=sums.baseline_energy_j,
        saved_j=sums.saved_j,
        saved_low_j=sums.saved_low_j,
        saved_high_j=sums.saved_high_j,
        requests=sums.requests,
        cancelled=sums.cancelled,
        reused=sums.reused,
        accepted=sums.accepted,
        offered_chars=sums.offered_chars,
        accepted_chars=sums.kept_chars,
    )
