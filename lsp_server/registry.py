"""`handles`: which function is for which message, told where the function is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_Handler = TypeVar("_Handler", bound=Callable[..., Any])

HANDLERS: list[tuple[str, Callable[..., Any], object]] = []
"""Method, function, and what is announced of it."""


def handles(method: str, options: object = None) -> Callable[[_Handler], _Handler]:
    """Registers a function for a message, with what is announced of it."""

    def register(handler: _Handler) -> _Handler:
        HANDLERS.append((method, handler, options))
        return handler

    return register
