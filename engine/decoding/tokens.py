"""A token as the decoder gives it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DecodedToken:
    """A token and the number of layers that ran to choose it: none where the project or a former request said it."""

    token_id: int
    exit_layer: int
