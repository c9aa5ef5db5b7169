"""Decoders, each with the KV cache of one text, so that going back to a file costs no new prompt.

Which text belongs to which document is not asked: a prompt goes to the decoder that has most of its beginning, if that
is worth keeping, else to a new one; the least recently used go where those not in use hold more memory than allowed.
One that is busy with another text is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.decoding.decoder import Decoder
from engine.prefix import common_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.early_exit import EarlyExitModel

BUDGET_BYTES = 32 << 20
"""A window's, of caches not in use: one file or two in the default model; the whole stays below 400 MB."""

MOST_WINDOWS = 16  # that have caches of their own

_WORTHWHILE_SHARE = 0.25  # of a prompt; what two files have in common by chance, such as a licence, is less


class DecoderPool:
    """The decoders of one model. One thread at a time."""

    def __init__(self, model: EarlyExitModel, *, budget_bytes: int = BUDGET_BYTES, keeps_rows: bool = False) -> None:
        self._model, self._keeps_rows = model, keeps_rows
        self._budget_bytes = self._window_bytes = budget_bytes
        self._decoders: list[Decoder] = []  # the least recently used first

    def __len__(self) -> int:
        return len(self._decoders)

    def keep_for(self, windows: int) -> None:
        """Holds as much as so many windows would hold that had a model each."""
        self._budget_bytes = self._window_bytes * min(max(1, windows), MOST_WINDOWS)

    def decoder_for(self, prompt_ids: Sequence[int]) -> Decoder:
        """The decoder for a prompt; the others make room first, where room is needed.

        Those that have read nothing, because a project alone was asked, are kept no longer.
        """
        self._decoders = [decoder for decoder in self._decoders if decoder.cached_ids or decoder.is_busy]
        chosen = self._with_most_of(prompt_ids)
        if chosen is None:
            chosen = Decoder(self._model, keeps_rows=self._keeps_rows)
        else:
            self._decoders.remove(chosen)
        idle = [decoder for decoder in self._decoders if not decoder.is_busy]
        while idle and sum(decoder.cache_bytes for decoder in idle) > self._budget_bytes:
            self._decoders.remove(idle.pop(0))
        self._decoders.append(chosen)
        return chosen

    def n_unread(self, prompt_ids: Sequence[int]) -> int:
        """How many tokens of a prompt no decoder has read that could go on with it."""
        chosen = self._with_most_of(prompt_ids)
        return len(prompt_ids) - (common_prefix(prompt_ids, chosen.cached_ids) if chosen is not None else 0)

    def _with_most_of(self, prompt_ids: Sequence[int]) -> Decoder | None:
        """The decoder that has most of a prompt's beginning; None where none has enough."""
        idle = [decoder for decoder in self._decoders if not decoder.is_busy]
        shared = [common_prefix(prompt_ids, decoder.cached_ids) for decoder in idle]
        most = max(shared, default=0)
        return idle[shared.index(most)] if most and most >= _WORTHWHILE_SHARE * len(prompt_ids) else None
