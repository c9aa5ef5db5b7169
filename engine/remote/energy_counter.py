"""`EnergyCounter`: the joules that a server reports, where it reports some. It knows no request and no text.

TensorRT-LLM's `/energy_metrics` counts what the server's GPUs have taken since it started. Nobody says what for: over a
request its difference holds the GPUs' idle power and other people's requests too. So it is the most that the request
may have taken, and is told as such.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from engine.errors import EngineError
from engine.remote.refusals import parsed
from engine.sentences import Sentence
from engine.types import EnergyReading, Provenance

if TYPE_CHECKING:
    from concurrent.futures import Future

    from engine.remote.connection import Connection

_PATH = "/energy_metrics"
_OK = 200
_MOST_S = 0.3  # for one look while somebody waits for a text


class EnergyCounter:
    """The counter of one server, if it has one.

    Args:
        connection: To the server; it is asked at once whether it has one.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._before: Future[tuple[int, bytes]] | None = None
        self._is_there = self._read(connection.begin(_PATH)) is not None
        host = connection.host
        self.source = (
            Sentence("the GPU counter of {host}, at most: idle power and other people's requests are in it", host=host)
            if self._is_there
            else Sentence("{host} reports no energy", host=host)
        )

    @property
    def told(self) -> Sentence:
        """How joules are had, or why there are none."""
        if self._is_there:
            return Sentence("measured: {source}", source=self.source)
        return Sentence("not known: {source}", source=self.source)

    def forget(self) -> None:
        """What began has come to nothing."""
        self._before = None

    def begin(self) -> None:
        """The server is about to be asked."""
        self._before = self._connection.begin(_PATH) if self._is_there else None

    def end(self, elapsed_s: float) -> EnergyReading:
        """What it took at most since `begin`.

        Nothing is known where the server was not asked, where the counter stood still, as it does for a tenth of a
        second, and where it takes longer to say than a text may wait.
        """
        before, self._before = self._before, None
        since = None if before is None else self._read(before, _MOST_S)
        now = None if since is None else self._read(self._connection.begin(_PATH), _MOST_S)
        energy_j = None if since is None or now is None or now <= since else now - since
        return EnergyReading(
            energy_j=energy_j,
            provenance=Provenance.NONE if energy_j is None else Provenance.MEASURED,
            source=self.source,
            elapsed_s=elapsed_s,
            range_j=None if energy_j is None else (0.0, energy_j),
        )

    def _read(self, asked: Future[tuple[int, bytes]], within_s: float | None = None) -> float | None:
        try:
            status, body = self._connection.answer(asked, within_s)
            match parsed(body) if status == _OK else None:
                case {"total_energy_j": float() | int() as total_j} if 0.0 <= (known_j := float(total_j)) < math.inf:
                    return known_j
                case _:
                    pass
        except (EngineError, OverflowError):  # a text is worth more than its joules
            pass
        return None
