"""`Books`: what became of each suggestion, told once: to the session's sums and to the ledger's rows.

It owns both, and whoever shows them is told by one call. It knows no editor and no engine.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lsp_server.books.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.types import Completion
    from lsp_server.books.ledger import Ledger, Origin
    from lsp_server.protocol import DayEnergy, SessionEnergy

logger = logging.getLogger(__name__)


class Books:
    """One session after the other, over one ledger.

    Args:
        session: The first session.
        ledger: The user's ledger; its file is opened with the first entry, or by `open`.
        on_change: Called after every change, of the warning too.
    """

    def __init__(self, session: Session, ledger: Ledger, on_change: Callable[[], None]) -> None:
        self._session = session
        self._ledger = ledger
        self._on_change = on_change
        self._logged_warning = ""

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
        self._session.record(completion_id, completion)
        self._ledger.add(self._session.session_id, completion_id, completion, origin)
        self._tell()

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
        self._session.accept(completion_id, accepted_chars)
        self._ledger.accept(completion_id, accepted_chars)
        self._tell()

    @property
    def energy_j(self) -> float | None:
        """The session's energy; None while none is known."""
        return self._session.energy_j

    def begin_session(self) -> None:
        """Begins a new session; the ledger keeps the old one."""
        self._session = Session()
        self._tell()

    def totals(self, *, green_mode: int, layers_total: int | None) -> SessionEnergy:
        """The session's sums as they are told to the client."""
        return self._session.totals(green_mode=green_mode, layers_total=layers_total)

    def history(self, days: int) -> list[DayEnergy]:
        """The newest `days` days of the ledger that have entries, newest first."""
        return self._ledger.history(days)

    def close(self) -> None:
        """Writes what waits and closes the ledger."""
        self._ledger.close()

    def _tell(self) -> None:
        if self.warning and self.warning != self._logged_warning:
            logger.warning("%s", self.warning)
        self._logged_warning = self.warning
        self._on_change()
