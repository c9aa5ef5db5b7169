"""How many tokens are chosen from the listing before the whole head judges them, in one pass."""

from __future__ import annotations

JUDGED_AT_ONCE = 4
"""Of text that may differ from full depth's: of four rows the whole head costs a third for each."""

_FIRST, _LEAST, _MOST = 8, 2, 16


class JudgingPace:
    """The pace of lossless text, which nobody is shown before it is certain.

    The more is judged at once, the less it costs, and the more is lost where the whole head says otherwise: seldom in
    the languages that the listing was made from, every few tokens in others.

    Attributes:
        tokens: How many are judged at once.
    """

    def __init__(self) -> None:
        self.tokens = _FIRST

    def note(self, *, agreed: bool) -> None:
        """Learns from what the whole head said."""
        self.tokens = min(_MOST, 2 * self.tokens) if agreed else max(_LEAST, self.tokens // 4)
