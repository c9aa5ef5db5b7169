"""Keeps transformers' bars and advice off the terminal: stdout may be a protocol's, and stderr has bars of ours."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from transformers.utils import logging

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Within it transformers says errors only; afterwards what it said before."""
    level, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bars:
            logging.enable_progress_bar()
