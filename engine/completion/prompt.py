"""Editor text to prompt text.

The window onto the document moves in coarse steps of whole lines, so that the prompt's beginning, and with it the KV
cache, stays put while a person types. Strings only.
"""

from __future__ import annotations

from dataclasses import dataclass

WINDOW_CHARS = 1536  # about 512 tokens of code, 0.9 s of prefill on two CPU cores
STEP_LINES = 16  # the window's beginning is a multiple of this many lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What the model reads.

    Attributes:
        text: The document before the cursor, cut to the window, without `typed_space`.
        typed_space: The last blank before the cursor, or "". Tokens of code begin with a blank, so the model decodes
            it again and it is cut off its text. Only this one is held back: without the rest of its indentation, a
            line start tells the model nothing of the block that it stands in.
    """

    text: str
    typed_space: str


def build_prompt(prefix: str) -> Prompt:
    """The prompt for the text before the cursor."""
    window = _window(prefix)
    text = window[:-1] if window.endswith((" ", "\t")) else window
    return Prompt(text=text, typed_space=window[len(text) :])


def _window(prefix: str) -> str:
    if len(prefix) <= WINDOW_CHARS:
        return prefix
    lines = prefix.splitlines(keepends=True)
    length, start = len(prefix), 0
    while length > WINDOW_CHARS and start + STEP_LINES < len(lines):
        length -= sum(map(len, lines[start : start + STEP_LINES]))
        start += STEP_LINES
    window = "".join(lines[start:])
    # One enormous line, as in minified code: no line border helps, so cut inside it, again in coarse steps.
    excess = max(0, len(window) - WINDOW_CHARS)
    step = WINDOW_CHARS // 4
    return window[-(-excess // step) * step :]
