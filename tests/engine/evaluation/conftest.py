"""A tiny model with two exits, for experiments that measure one."""

from dataclasses import replace
from pathlib import Path

import pytest

from engine.model.loaded import LoadedModel
from tests.engine.training.fakes import tiny_loaded
from tests.tiny_models import early_exit_model, tiny_model


@pytest.fixture
def loaded(own_data: Path) -> LoadedModel:
    return replace(tiny_loaded(), model=early_exit_model(tiny_model("llama"), exit_layers=(2, 4)))
