"""`KnownText`: the text of a connection's last request, as both ends know it: of the next one, what is new travels.

A document may have 100 kB, and a key changes one letter of it. Both ends count letters, so a text has no two halves of
one side by side, which JSON would join (`lsp_server.context.documents.normalised` leaves none).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engine.prefix import common_prefix

if TYPE_CHECKING:
    from engine.types import CompletionRequest

Kept = tuple[int, int]
"""How many characters of the text before the cursor, and of that behind it, are those of the last request."""


class KnownText:
    """One end's. One end shortens requests, and the other restores them, in the same order."""

    def __init__(self) -> None:
        self._prefix = self._suffix = ""

    def shortened(self, request: CompletionRequest) -> tuple[CompletionRequest, Kept]:
        """The request with the text that is new, and how much is left out."""
        n_before = common_prefix(self._prefix, request.prefix)
        if self._suffix == request.suffix:
            n_behind = len(request.suffix)
        else:
            n_behind = common_prefix(self._suffix[::-1], request.suffix[::-1])
        self._prefix, self._suffix = request.prefix, request.suffix
        new = replace(
            request,
            prefix=request.prefix[n_before:],
            suffix=request.suffix[: len(request.suffix) - n_behind],
        )
        return new, (n_before, n_behind)

    def restored(self, request: CompletionRequest, kept: Kept) -> CompletionRequest:
        """The request that was shortened."""
        n_before, n_behind = kept
        self._prefix = self._prefix[:n_before] + request.prefix
        self._suffix = request.suffix + self._suffix[len(self._suffix) - n_behind :]
        return replace(request, prefix=self._prefix, suffix=self._suffix)
