"""Files that are written into while a model runs on them; `test_changed_files` has an engine's process for it."""

import os
import sys
from pathlib import Path

import pytest

from engine.config import EngineConfig
from engine.errors import EngineLostError
from engine.model.loading import load_model
from engine.model.mapped_files import MappedFiles
from tests.engine.model.tiny_tokenizer import LETTERS
from tests.tiny_models import tiny_model


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(b"as they were")
    return path


def test_nothing_is_said_of_files_that_stay_or_are_replaced_or_go(weights: Path) -> None:
    files = MappedFiles([weights])
    other = weights.with_name("other")
    other.write_bytes(b"another model's")

    with files.unwritten():
        files.refuse_others()
    other.replace(weights)
    with files.unwritten():
        weights.unlink()
    with files.unwritten():
        pass


def test_what_is_computed_while_a_file_is_written_into_does_not_count(weights: Path) -> None:
    files = MappedFiles([weights])

    with pytest.raises(EngineLostError, match="files were changed while it ran"), files.unwritten():
        weights.write_bytes(b"another model's")


def test_no_other_file_is_opened_in_place_of_the_first(weights: Path) -> None:
    files = MappedFiles([weights])
    weights.unlink()

    with pytest.raises(EngineLostError):
        files.refuse_others()


@pytest.mark.skipif(sys.platform == "win32", reason="there nobody can write into what is mapped")
def test_the_reference_runs_on_its_files_too(tmp_path: Path) -> None:
    tiny_model("llama").save_pretrained(tmp_path)
    LETTERS.save(str(tmp_path / "tokenizer.json"))
    loaded = load_model("tiny", tmp_path, EngineConfig(device="cpu", precision="fp32"))

    with (tmp_path / "model.safetensors").open("r+b") as file:
        file.seek(-9, os.SEEK_END)
        file.write(b"otherwise")

    with pytest.raises(EngineLostError), loaded.files.unwritten():
        pass
