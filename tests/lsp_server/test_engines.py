"""Which engine a server gets."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from engine.config import EngineConfig
from engine.errors import ModelNotFoundError, SharingError
from engine.model.sources import model_cache
from engine.types import ProgressSink, no_progress
from lsp_server.engines import Engines, prepare
from tests.engine.model.sources.tiny_gguf import write_tiny_gguf
from tests.fakes import FakeEngine

if TYPE_CHECKING:
    from pathlib import Path

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


def test_an_engine_is_prepared_in_a_process_of_its_own(own_cache: Path, tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf", hidden_size=64)
    steps: list[str] = []

    prepare(EngineConfig(model=str(tmp_path / "tiny.gguf"), device="cpu"), lambda message, *_: steps.append(message))

    assert len(model_cache.names(kind="prepared")) == 1
    assert "Preparing the model for this CPU" in steps
    prepare(
        EngineConfig(model=str(tmp_path / "tiny.gguf"), device="cpu", precision="fp32"), no_progress
    )  # needs nothing
    with pytest.raises(ModelNotFoundError, match="There is no folder"):
        prepare(EngineConfig(model=str(tmp_path / "gone")), no_progress)
