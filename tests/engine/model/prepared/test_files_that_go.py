"""A model's files may be deleted or replaced while it runs: what was opened stays as it was."""

import shutil
import sys
from pathlib import Path

import pytest
import torch

from engine.errors import EngineLostError
from engine.model.prepared.layout import find_prepared
from tests.engine.model.fast_models import logits, prepared, small_model


@pytest.mark.skipif(sys.platform == "win32", reason="there nobody can delete what is mapped")
@pytest.mark.parametrize("hidden_size", [64, 128], ids=["onnx", "native"])
def test_a_running_model_outlives_its_files(hidden_size: int, own_cache: Path) -> None:
    model = prepared(small_model("llama", hidden_size=hidden_size, intermediate_size=192), "int8")
    before = logits(model, 0, 40, model.new_cache())
    found = find_prepared("tiny-int8-0")
    assert found is not None
    folder, _ = found

    for file in filter(Path.is_file, list(folder.iterdir())):
        other = file.with_suffix(".other")
        other.write_bytes(b"x" * file.stat().st_size)
        other.replace(file)
    replaced = logits(model, 0, 40, model.new_cache())
    shutil.rmtree(folder)
    deleted = logits(model, 0, 40, model.new_cache())

    assert torch.equal(replaced, before)
    assert torch.equal(deleted, before)


@pytest.mark.skipif(sys.platform == "win32", reason="there nobody can delete what is mapped")
def test_a_runner_that_opens_its_files_again_takes_no_other_models(own_cache: Path) -> None:
    model = prepared(small_model("llama", intermediate_size=192), "int8")  # on ONNX Runtime
    found = find_prepared("tiny-int8-0")
    assert found is not None

    shutil.rmtree(found[0])

    with pytest.raises(EngineLostError):
        model.use_cores(all_cores=True)
