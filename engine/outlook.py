"""`Outlook`: what a project would say at a place, though it is not sure enough to be offered. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a project would say first behind what is typed.

    Attributes:
        text: Its first token there, or what of it is not typed yet; "" where it knows nothing.
        chance: The chance that this is right; 0 likewise.
    """

    text: str = ""
    chance: float = 0.0
