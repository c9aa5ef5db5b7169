"""`ServerUnderTest`: what the bench needs of a completion server; the seam that peers are put behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A suggestion, and the name of the completion that it comes from; "" where the server gives none."""

    text: str
    completion_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a server has done since its last `begin`; None is unknown.

    Attributes:
        cpu_s: CPU time of its process.
        energy_j: Joules of all requests.
        provenance: How they were had.
        wasted_j: Joules of the completions of which nothing was kept.
        computed: Requests that reached its model.
        reused: Requests answered without it.
        cancelled: Requests given up before their answer.
        skipped: Requests that never reached the model and were answered with nothing.
        tokens: Tokens decoded.
        layers: Layers that these tokens went through, in all.
    """

    cpu_s: float | None
    energy_j: float | None
    provenance: str
    wasted_j: float | None
    computed: int
    reused: int
    cancelled: int
    skipped: int
    tokens: int
    layers: float | None


class ServerUnderTest(Protocol):
    """A running server with one document open."""

    async def begin(self, language_id: str, text: str, path: Path | None = None) -> None:
        """Opens a new document, of a file or of none, and begins to count."""
        ...

    def edit(self, offset: int, removed: int, text: str) -> None:
        """Replaces characters of the document."""
        ...

    async def ask(self, offset: int) -> Offer | None:
        """What it suggests at a place; cancelling this cancels the request as its own client would."""
        ...

    async def accepted(self, offer: Offer) -> None:
        """Tells that the last offer was taken whole."""
        ...

    async def end(self, kept: Collection[str]) -> Costs:
        """Sums up once the server rests; `kept` names the completions of which something was kept."""
        ...
