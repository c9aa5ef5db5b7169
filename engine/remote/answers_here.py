"""`AnswersHere`: texts that the user's project says whole, so that no server is asked.

The same as exit zero of an engine here, with the pieces of a text in the place of a model's tokens. Where the project
is not sure of a single piece, the server is asked for all of the text; at green mode 0 it is asked always.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.completion.site import ended_by_rules
from engine.project.pieces import N_PIECES, Pieces
from engine.project.projects import Projects

if TYPE_CHECKING:
    from engine.completion.site import Site
    from engine.project.project_text import ProjectText
    from engine.types import FinishReason

_MOST_PIECES = 64
_SURE = 0.9
"""Least chance of each piece; less is often wrong, and a server has a model (engine/LOG.md, "A server elsewhere")."""


class AnswersHere:
    """The projects of one engine, and what they say whole."""

    def __init__(self) -> None:
        self._pieces = Pieces()
        self._projects = Projects(self._pieces.encode, N_PIECES)

    def project(self, name: str) -> ProjectText:
        """The text of a project, to be filled; from any thread."""
        return self._projects.text(name)

    def answer(self, site: Site, green_mode: int) -> tuple[str, FinishReason] | None:
        """What the project says at a site, as a model would say it, and why that ends; None to ask the server."""
        if site.in_project is None or not green_mode or not site.prompt.text:
            return None
        typed, pieces = site.prompt.typed, self._pieces
        above = site.prefix[: max(0, len(site.prefix) - len(site.prompt.text) - len(typed))]
        known = self._projects.continuations(
            site.in_project, pieces.encode(site.prompt.text), above=above, below=site.suffix
        )
        allowed = pieces.beginning_with(typed) if typed.strip() else None
        said: list[int] = []
        raw = ""
        while len(said) < _MOST_PIECES:
            guess = known.after(said, None if said else allowed)
            text = "" if guess is None else pieces.text_of(guess.token_id)
            if guess is None or guess.chance < _SURE or not text:
                return None
            said.append(guess.token_id)
            raw += text
            if (reason := ended_by_rules(site, raw)) is not None:
                return raw, reason
        return None
