"""Which engine a server gets."""

from __future__ import annotations

import logging

import pytest

from engine.config import EngineConfig
from engine.errors import ModelNotFoundError, SharingError
from engine.types import ProgressSink, no_progress
from lsp_server.engines import Engines
from tests.fakes import FakeEngine

HERE, SHARED = FakeEngine(EngineConfig(model="here")), FakeEngine(EngineConfig(model="shared"))


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    def shared(config: EngineConfig, progress: ProgressSink) -> FakeEngine:
        if config.model == "nowhere":
            raise SharingError("The folder /tmp/x is not this user's own.")
        if config.model == "missing":
            raise ModelNotFoundError("No such model.")
        return SHARED

    monkeypatch.setattr("engine.engine.load_engine", lambda config, progress: HERE)
    monkeypatch.setattr("engine.service.opened.open_shared", shared)
    monkeypatch.setattr("lsp_server.engines.give_way_to_the_editor", lambda: None)


def test_it_is_shared_where_settings_and_command_line_say_so() -> None:
    def loaded(*, shared: bool, may_share: bool) -> object:
        return Engines("", may_share=may_share).load(EngineConfig(shared=shared), no_progress)

    assert loaded(shared=True, may_share=True) is SHARED
    assert loaded(shared=True, may_share=False) is HERE
    assert loaded(shared=False, may_share=True) is HERE


def test_where_none_can_be_shared_one_is_loaded_for_here(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        engine = Engines("", may_share=True).load(EngineConfig(model="nowhere", shared=True), no_progress)

    assert engine is HERE
    assert caplog.messages == [
        "The folder /tmp/x is not this user's own. So the model is loaded for this window alone."
    ]


def test_what_a_shared_engine_fails_with_is_not_tried_here() -> None:
    with pytest.raises(ModelNotFoundError):
        Engines("", may_share=True).load(EngineConfig(model="missing", shared=True), no_progress)
