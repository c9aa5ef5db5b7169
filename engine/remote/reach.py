"""`Reach`: how much of a document a server's model is given to read, by how fast that server reads. It asks nothing.

Large servers read thousands of tokens in a moment; a small one keeps the person waiting. So it begins with what a model
here would be given, grows while answers begin at once, and shrinks for good where they do not. Text of more tokens than
the server's model takes, such as digits or Chinese, is halved until it fits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.types import PromptOptions

MOST_TIMES = 4  # what a model here is given: about 2,700 tokens in all
AT_ONCE_S = 0.3  # until the first token
TOO_LATE_S = 1.0
_CHARS_A_TOKEN = 2  # at least, of code
_LEAST_PART = 1 / 32


class Reach:
    """How much one server is given.

    Args:
        max_positions: Tokens of prompt and answer together that its model takes; None where that is not known.
    """

    def __init__(self, max_positions: int | None) -> None:
        self._max_positions = max_positions
        self._times = 1
        self._may_grow = True
        self._part = 1.0  # of what would be given, since more was refused

    def options(self, options: PromptOptions, max_new_tokens: int) -> PromptOptions:
        """What is asked of the prompt, as far as the server goes."""
        window, suffix = self._times * options.window_chars, self._times * options.suffix_chars
        if self._max_positions is not None:
            room = _CHARS_A_TOKEN * max(1, self._max_positions - max_new_tokens)
            part = min(1.0, room / max(1, window + suffix))
            window, suffix = int(part * window), int(part * suffix)
        return replace(options, window_chars=int(self._part * window), suffix_chars=int(self._part * suffix))

    def shorten(self) -> bool:
        """Halves what is given, since that was refused; False, and all as at first, where less was tried already."""
        if self._part <= _LEAST_PART:
            self._part = 1.0
            return False
        self._part /= 2
        return True

    def note(
        self, first_token_s: float | None, waited_s: float, prompt_tokens: int | None, max_new_tokens: int
    ) -> None:
        """Learns from one answer.

        Args:
            first_token_s: Until it began; None where it did not.
            waited_s: Until it ended, or nobody waited for it any longer.
            prompt_tokens: What was read; None where that is not told.
            max_new_tokens: What might have been written.
        """
        if (waited_s if first_token_s is None else first_token_s) > TOO_LATE_S:
            self._times, self._may_grow = max(1, self._times // 2), False
        elif first_token_s is not None and first_token_s <= AT_ONCE_S and self._may_grow:
            self._times = min(MOST_TIMES, 2 * self._times)
        if prompt_tokens is None or self._max_positions is None:
            return
        if 2 * prompt_tokens + max_new_tokens <= self._max_positions:
            self._part = min(1.0, 2 * self._part)
