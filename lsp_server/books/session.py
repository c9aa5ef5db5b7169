"""`Session`: what the requests since the start, or the last reset, have cost together.

It keeps sums in memory and knows no database and no protocol but the record it fills.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from engine.sentences import joined
from engine.types import FinishReason, Phase, Provenance, combine_provenance
from lsp_server.protocol import SessionEnergy

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.types import Completion
    from lsp_server.books.today import SpentToday

MAX_OPEN_OFFERS = 1000  # nobody takes a suggestion that lies so many behind


class Session:
    """Sums over completions. A figure that was never known stays None; a sum is over what is known of it."""

    def __init__(self) -> None:
        self.session_id = uuid.uuid4().hex
        self._started_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._energy_j = _Sum()
        self._accepted_j = _Sum()
        self._baseline_j = _Sum()
        self._saved_j, self._saved_low_j, self._saved_high_j = _Sum(), _Sum(), _Sum()
        self._projects_j = _Sum()
        self._phase_j = {phase: _Sum() for phase in Phase}
        # How joules were had, in order of appearance: of requests that took any, that took none, and that are unknown.
        self._how: tuple[dict[tuple[Provenance, str], None], ...] = ({}, {}, {})
        self._counts = _Counts()
        self._last: Completion | None = None
        self._open_offers: dict[str, _Offer] = {}  # by completion id, until accepted; the newest

    @property
    def energy_j(self) -> float | None:
        """The energy of all requests; None while none is known."""
        return self._energy_j.value

    def record(self, completion_id: str, completion: Completion) -> None:
        """Adds one request that reached the engine."""
        energy = completion.energy
        self._energy_j.add(energy.energy_j)
        if completion.saved_j is not None:  # else a share of the one in the other would compare different requests
            self._baseline_j.add(completion.baseline_energy_j)
            self._saved_j.add(completion.saved_j)
            low_j, high_j = completion.saved_range_j or (None, None)
            self._saved_low_j.add(low_j)  # as the reports of the ledger add them
            self._saved_high_j.add(high_j)
        for phase, energy_j in energy.by_phase.items():
            self._phase_j[phase].add(energy_j)
        kind = 2 if energy.energy_j is None else int(energy.energy_j == 0.0)
        self._how[kind][energy.provenance, energy.source] = None
        cancelled = completion.finish_reason is FinishReason.CANCELLED
        layers = [token.exit_layer for token in completion.tokens if token.exit_layer is not None]
        counts = self._counts
        counts.requests += 1
        counts.cancelled += cancelled
        counts.offered += bool(completion.text)
        counts.offered_chars += len(completion.text)
        counts.tokens += len(completion.tokens)
        counts.layers += sum(layers)
        counts.layered_tokens += len(layers)
        self._open_offers[completion_id] = _Offer(energy_j=energy.energy_j, chars=len(completion.text))
        if len(self._open_offers) > MAX_OPEN_OFFERS:
            del self._open_offers[next(iter(self._open_offers))]
        if not cancelled:
            self._last = completion

    def reuse(self, completion_id: str, offered_chars: int) -> None:
        """Counts a request that was answered, for no energy, with what an earlier completion still says.

        Args:
            completion_id: The earlier completion.
            offered_chars: What was left of it to offer; only more than was ever offered of it is counted.
        """
        self._counts.reused += 1
        offer = self._open_offers.get(completion_id)
        if offer is not None and offered_chars > offer.chars:
            self._counts.offered += not offer.chars
            self._counts.offered_chars += offered_chars - offer.chars
            offer.chars = offered_chars

    def skip(self) -> None:
        """Counts a request that never reached the engine."""
        self._counts.skipped += 1

    def add_reading(self, energy_j: float) -> None:
        """Adds what it took to read a project, beside all requests."""
        self._projects_j.add(energy_j)

    def accept(self, completion_id: str, accepted_chars: int | None = None) -> bool:
        """Counts a completion as accepted, once; one of another session changes nothing here.

        Args:
            completion_id: The completion.
            accepted_chars: How much of it was left to accept; None for all that was offered.

        Returns:
            Whether parts of it had been taken before.
        """
        offer = self._open_offers.pop(completion_id, None)
        if offer is None:
            return False
        was_taken = offer.taken > 0
        self._keep(offer, offer.chars if accepted_chars is None else accepted_chars)
        return was_taken

    def take(self, completion_id: str, chars: int) -> None:
        """Counts so many characters of a completion as accepted; more may follow."""
        if (offer := self._open_offers.get(completion_id)) is not None:
            self._keep(offer, chars)

    def _keep(self, offer: _Offer, chars: int) -> None:
        kept = min(chars, offer.chars - offer.taken)
        if not offer.taken:
            self._accepted_j.add(offer.energy_j)
            self._counts.accepted += 1
        offer.taken += kept
        self._counts.accepted_chars += kept

    def totals(
        self, say: Callable[[str], str], *, green_mode: int, layers_total: int | None, today: SpentToday
    ) -> SessionEnergy:
        """The sums as they are told to the client, whose language is spoken."""
        counts, last = self._counts, self._last
        energy_j = self.energy_j
        n_layered = counts.layered_tokens
        how = next(filter(None, self._how), {})
        return SessionEnergy(
            session_id=self.session_id,
            started_at=self._started_at,
            energy_j=energy_j,
            provenance=combine_provenance(provenance for provenance, _ in how).value,
            source=say(joined(dict.fromkeys(source for _, source in how), " + ")) or None,
            baseline_energy_j=self._baseline_j.value,
            saved_j=self._saved_j.value,
            saved_low_j=self._saved_low_j.value,
            saved_high_j=self._saved_high_j.value,
            wasted_j=None if energy_j is None else energy_j - (self._accepted_j.value or 0.0),
            prefill_j=self._phase_j[Phase.PREFILL].value,
            decode_j=self._phase_j[Phase.DECODE].value,
            policy_j=self._phase_j[Phase.POLICY].value,
            verification_j=self._phase_j[Phase.VERIFICATION].value,
            projects_j=self._projects_j.value,
            requests=counts.requests,
            offered=counts.offered,
            accepted=counts.accepted,
            cancelled=counts.cancelled,
            reused=counts.reused,
            skipped=counts.skipped,
            offered_chars=counts.offered_chars,
            accepted_chars=counts.accepted_chars,
            tokens=counts.tokens,
            mean_exit_layer=counts.layers / n_layered if n_layered else None,
            layers_total=layers_total,
            last_mean_exit_layer=last.mean_exit_layer if last else None,
            last_energy_j=last.energy.energy_j if last else None,
            last_elapsed_s=last.elapsed_s if last else None,
            green_mode=green_mode,
            today_j=today.energy_j,
            today_sessions=today.sessions,
        )


@dataclass(slots=True, kw_only=True)
class _Counts:
    requests: int = 0
    offered: int = 0
    accepted: int = 0
    cancelled: int = 0
    reused: int = 0
    skipped: int = 0
    offered_chars: int = 0
    accepted_chars: int = 0
    tokens: int = 0
    layers: int = 0  # that the tokens below left at, added up
    layered_tokens: int = 0  # whose exit is known


@dataclass(slots=True, kw_only=True)
class _Offer:
    energy_j: float | None
    chars: int  # the most that was offered of it at once
    taken: int = 0  # of these, in parts


class _Sum:
    """A sum that is None until something known was added."""

    def __init__(self) -> None:
        self.value: float | None = None

    def add(self, amount: float | None) -> None:
        if amount is not None:
            self.value = amount + (self.value or 0.0)
