"""`Reason`: why nothing is offered: a sentence for people, and its kind for whoever must tell one from another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lsp_server.protocol import Silence


@dataclass(frozen=True, slots=True)
class Reason:
    """Why nothing is offered.

    Attributes:
        kind: What an icon is chosen by.
        sentence: What people read.
    """

    kind: Silence
    sentence: str
