"""An empty package index and empty caches, and a tiny model that such an index carries."""

import os
from pathlib import Path

import huggingface_hub
import pytest

from engine.model.sources.embedded import EmbeddedModel
from tests.engine.model.sources.tiny_gguf import write_tiny_gguf
from tests.engine.model.sources.tiny_wheel import publish


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_tiny_gguf(path)
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty package index, empty caches, and no network behind them."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def tiny(index: Path, tiny_gguf: Path) -> EmbeddedModel:
    """A model whose wheel lies in the index."""
    return publish(index, tiny_gguf)
