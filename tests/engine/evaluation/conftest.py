"""A tiny model with two exits, for experiments that measure one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.model.loaded import LoadedModel
from tests.engine.training.fakes import tiny_loaded
from tests.tiny_models import early_exit_model, tiny_model


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoadedModel]:
    """On one thread, with a data folder of the test's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield replace(tiny_loaded(), model=early_exit_model(tiny_model("llama"), exit_layers=(2, 4)))
    torch.set_num_threads(n_threads)
