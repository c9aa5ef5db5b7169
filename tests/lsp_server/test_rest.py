"""An engine that nobody uses."""

import asyncio

import pytest

from lsp_server import rest
from lsp_server.rest import Rest

PATIENCE_S = 20.0


async def test_what_is_still_being_loaded_is_not_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a slow download would never come to its end."""
    monkeypatch.setattr(rest, "MINUTE_S", 0.001)
    is_loading, rests = iter([True, True, False]), asyncio.Event()
    engine = Rest(rests.set, lambda: None, after_min=lambda: 1, is_loading=lambda: next(is_loading))

    engine.note_use()

    await asyncio.wait_for(rests.wait(), PATIENCE_S)
    assert list(is_loading) == []
