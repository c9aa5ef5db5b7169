"""A tiny model in a folder, as a user may name one."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from engine.model.reference.gguf import convert_gguf
from tests.engine.model.sources.tiny_gguf import TOKENS, write_tiny_gguf
from tests.tiny_models import tiny_model


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Llama's layers with random weights, and a tokenizer of single characters."""
    work = tmp_path_factory.mktemp("tiny")
    folder = work / "my-model"
    tiny_model("llama", vocab_size=len(TOKENS)).save_pretrained(folder)
    write_tiny_gguf(work / "tiny.gguf")
    convert_gguf(work / "tiny.gguf", work / "converted")
    AutoTokenizer.from_pretrained(work / "converted", local_files_only=True).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line has no option for threads, and so tiny a model is slower with two."""
    monkeypatch.setattr("engine.model.reference.pretrained.cpu_threads", lambda _config: 1)
