"""Fixtures of the real default model, pulled once into the user cache and loaded once a test process."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tqdm import tqdm  # type: ignore[import-untyped]

from engine.config import DEFAULT_MODEL, EngineConfig
from engine.engine import Engine, load_engine
from engine.model.sources.store import resolve_model

_THREADS = torch.get_num_threads()

tqdm.monitor_interval = 0  # transformers' bars would start a thread that stumbles over bars of other threads


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast ones first: a fault of a function is told before the weights are loaded and a browser is started."""
    items.sort(
        key=lambda item: (item.get_closest_marker("e2e") is not None, item.get_closest_marker("model") is not None)
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tiny models take one thread: on layers of 32 numbers two mostly wait for each other.

    Libraries read the variable once, so it reaches only the processes that a test starts.
    """
    if item.get_closest_marker("model") is None:
        torch.set_num_threads(1)
        os.environ["OMP_NUM_THREADS"] = "1"
    else:
        torch.set_num_threads(_THREADS)
        os.environ.pop("OMP_NUM_THREADS", None)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for models of the test's own, empty; gives where all caches lie."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for what a user keeps of the test's own, empty; gives where all such folders lie."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture(scope="session")
def default_model_path() -> Path:
    return resolve_model(DEFAULT_MODEL).path


@pytest.fixture(scope="session")
def reference_engine(default_model_path: Path) -> Iterator[Engine]:
    """In fp32 on the reference runner: what may be compared with transformers token by token."""
    loaded = load_engine(EngineConfig(device="cpu", precision="fp32"))
    yield loaded
    loaded.close()


@pytest.fixture(scope="session")
def engine(default_model_path: Path) -> Iterator[Engine]:
    loaded = load_engine(EngineConfig(device="cpu"))
    yield loaded
    loaded.close()
