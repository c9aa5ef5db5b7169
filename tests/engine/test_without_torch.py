"""A CPU completes where PyTorch is not installed: not in the server, not in the processes that prepare a model."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine.model.sources.tiny_gguf import write_tiny_gguf
from tests.tiny_models import tiny_model

pytestmark = pytest.mark.usefixtures("own_cache")

SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])  # processes of ours find modules where we do
from engine.config import EngineConfig
from engine.engine import load_engine
from engine.errors import TorchMissingError
from engine.types import CompletionRequest
found = {}
try:
    engine = load_engine(EngineConfig(**json.loads(sys.argv[2])))
    text = engine.complete(CompletionRequest(prefix="def area(width, height):\\n    return width * ")).text
    found = {"device": engine.device_name, "text": text}
except TorchMissingError as error:
    found = {"refused": str(error)}
print(json.dumps(found))
"""


def completed(tmp_path: Path, **config: object) -> dict[str, Any]:
    """What a process says that finds no torch, beginning with an empty cache."""
    missing = tmp_path / "missing"
    missing.mkdir()
    for name in ("torch", "transformers", "accelerate"):
        (missing / f"{name}.py").write_text(f"raise ModuleNotFoundError('not installed', name={name!r})\n")
    settings = json.dumps({"device": "cpu", "threads": 1, **config})
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, missing, settings], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_plain_gguf_file_is_converted_prepared_and_completed(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf", hidden_size=64)

    found = completed(tmp_path, model=str(tmp_path / "tiny.gguf"))

    assert "int8" in found["device"]


@pytest.mark.model
def test_the_default_model_is_prepared_and_completed(default_model_path: Path, tmp_path: Path) -> None:
    models = tmp_path / "cache" / "green-code" / "models"
    models.mkdir(parents=True)
    (models / default_model_path.name).symlink_to(default_model_path)

    found = completed(tmp_path, threads=None)

    assert found["text"].startswith("height")


@pytest.mark.parametrize(
    ("config", "purpose"),
    [
        ({}, "To prepare the model '{name}' once"),
        ({"precision": "fp32"}, "To run the model '{name}' this way"),
    ],
)
def test_what_needs_torch_says_so_in_a_sentence(config: dict[str, str], purpose: str, tmp_path: Path) -> None:
    folder = tmp_path / "qwen2"
    tiny_model("qwen2", hidden_size=64).save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")

    found = completed(tmp_path, model=str(folder), **config)

    assert found["refused"].startswith(purpose.format(name=folder) + " PyTorch is needed, which is not installed here")


def test_a_gguf_file_of_another_kind_says_so_too(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "other.gguf", pre_tokenizer="default")

    found = completed(tmp_path, model=str(tmp_path / "other.gguf"))

    assert found["refused"].startswith("To convert other.gguf once PyTorch is needed")


def test_a_gpu_that_is_asked_for_says_so_too(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf")

    found = completed(tmp_path, model=str(tmp_path / "tiny.gguf"), device="cuda")

    assert found["refused"].startswith("To run on a GPU PyTorch is needed")
