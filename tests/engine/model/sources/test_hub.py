"""A local HTTP server stands in for the hub, so that the hub client's own code downloads, resumes and caches."""

import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from transformers import AutoModelForCausalLM

from engine.errors import (
    ModelCorruptError,
    ModelDownloadError,
    ModelError,
    ModelNotFoundError,
    UnsupportedModelError,
)
from engine.model.sources.store import list_models, pull, remove, resolve_model
from tests.engine.model.sources import tiny_hub
from tests.engine.model.sources.tiny_hub import COMMIT, Hub, listed
from tests.tiny_models import tiny_model

REPO = "tiny/llama"
CARD = "---\nlicense: mit\n---\n# Tiny\n"


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    tiny_model("llama").save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "README.md").write_text(CARD)
    (folder / "training_log.bin").write_bytes(bytes(1000))
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of both kinds, and no way out to the real hub."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hf"


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def folders(tiny_folder: Path, tmp_path: Path) -> dict[str, Path]:
    shutil.copytree(tiny_folder, tmp_path / "repository")
    return {REPO: tmp_path / "repository"}


@pytest.fixture
def hub(
    cache: Path, monkeypatch: pytest.MonkeyPatch, folders: dict[str, Path], asked: list[str]
) -> Iterator[dict[str, Path]]:
    """A hub on this machine; yields its repositories."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, folders, asked))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(
        huggingface_hub.constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        f"http://127.0.0.1:{server.server_port}" + "/{repo_id}/resolve/{revision}/{filename}",
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield folders
    huggingface_hub.close_session()
    server.shutdown()
    thread.join()
    server.server_close()


def test_model_of_the_hub_is_downloaded_and_loads(hub: dict[str, Path]) -> None:
    files = resolve_model(REPO)

    assert files.name == REPO
    assert AutoModelForCausalLM.from_pretrained(files.path, local_files_only=True).config.model_type == "llama"


def test_only_what_is_needed_is_downloaded(hub: dict[str, Path], asked: list[str]) -> None:
    resolve_model(REPO)

    assert not [path for path in asked if path.endswith("training_log.bin")]


def test_progress_ends_with_every_byte(hub: dict[str, Path]) -> None:
    told: list[tuple[str, int, int | None]] = []

    resolve_model(REPO, progress=lambda *step: told.append(step))

    message, done, total = told[-1]
    assert message == f"Downloading {REPO}"
    assert done == total
    assert done >= (hub[REPO] / "model.safetensors").stat().st_size
    assert [step[1] for step in told] == sorted(step[1] for step in told)


def test_download_writes_nothing_to_the_terminal(hub: dict[str, Path], capfd: pytest.CaptureFixture[str]) -> None:
    resolve_model(REPO)

    assert capfd.readouterr() == ("", "")


def test_unsupported_family_is_refused_before_its_weights_are_fetched(hub: dict[str, Path], asked: list[str]) -> None:
    (hub[REPO] / "config.json").write_text('{"model_type": "mamba"}')

    with pytest.raises(UnsupportedModelError, match=r"'mamba'.*the supported families are llama, "):
        resolve_model(REPO)

    assert not [path for path in asked if "safetensors" in path]


HYBRIDS = [
    ({"layer_types": ["mamba", "attention"]}, "has layers of the kind 'mamba', whose state cannot be taken back"),
    ({}, "has layers of the kind 'mamba'"),
    ({"layer_types": ["attention"], "num_local_experts": 62}, "is a mixture of experts"),
]


@pytest.mark.parametrize(("settings", "reason"), HYBRIDS)
def test_granites_hybrids_are_refused_before_their_weights_are_fetched(
    hub: dict[str, Path], asked: list[str], settings: dict[str, object], reason: str
) -> None:
    (hub[REPO] / "config.json").write_text(json.dumps({"model_type": "granitemoehybrid", **settings}))

    with pytest.raises(UnsupportedModelError, match=reason):
        resolve_model(REPO)

    assert not [path for path in asked if "safetensors" in path]


@pytest.mark.parametrize(
    ("total", "free"),
    [(10**7, 10**12), (10**12, 10**4)],
    ids=["memory", "disk"],
)
def test_a_model_too_large_for_the_machine_is_refused_before_its_weights_are_fetched(
    hub: dict[str, Path], asked: list[str], monkeypatch: pytest.MonkeyPatch, total: int, free: int
) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=total))
    monkeypatch.setattr("engine.model.sources.hub._free_disk_bytes", lambda: free)

    with pytest.raises(ModelError, match=r"^The model tiny/llama is too large for this machine: .*") as refused:
        resolve_model(REPO)

    told = "preparing it takes" if total < free else "of disk, and 0 MB are free"
    assert told in str(refused.value)
    assert not [path for path in asked if "safetensors" in path]


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_a_file_that_is_not_the_hubs_is_told_of_and_removed(
    hub: dict[str, Path], cache: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    def listed_otherwise(path: Path) -> dict[str, object]:
        entry = listed(path)
        if path.name == file:
            entry |= {"lfs": {"oid": "2" * 64, "size": 1, "pointerSize": 100}} if "lfs" in entry else {"oid": "2" * 40}
        return entry

    monkeypatch.setattr(tiny_hub, "listed", listed_otherwise)

    with pytest.raises(ModelCorruptError, match=f"The file {file} of tiny/llama came with another hash"):
        pull(REPO)
    assert not list(cache.glob("models--*"))


def test_every_file_is_of_the_commit_that_the_first_was_of(
    hub: dict[str, Path], asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though there is a newer one as soon as the configuration is here."""
    is_begun = property(lambda _: "3" * 40 if any("/resolve/" in path for path in asked) else COMMIT)
    monkeypatch.setattr(Hub, "newest", is_begun)

    pull(REPO)

    assert {path.split("/resolve/")[1].split("/")[0] for path in asked if "/resolve/" in path} == {COMMIT}


def test_model_with_pickled_weights_only_is_downloaded(hub: dict[str, Path]) -> None:
    (hub[REPO] / "model.safetensors").unlink()
    torch.save(tiny_model("llama").state_dict(), hub[REPO] / "pytorch_model.bin")

    assert (resolve_model(REPO).path / "pytorch_model.bin").is_file()


def test_model_without_weights_is_corrupt(hub: dict[str, Path]) -> None:
    (hub[REPO] / "model.safetensors").unlink()

    with pytest.raises(ModelCorruptError, match="holds no weights"):
        resolve_model(REPO)


def test_model_the_hub_does_not_have(hub: dict[str, Path]) -> None:
    with pytest.raises(ModelNotFoundError, match=r"^The model hub has no model tiny/opt, or it is private\.$"):
        resolve_model("tiny/opt")


def test_a_gated_model_without_a_token_is_told_of_and_leaves_nothing(hub: dict[str, Path], cache: Path) -> None:
    (hub[REPO] / "gated").touch()

    with pytest.raises(
        ModelDownloadError, match=r"^The model tiny/llama could not .* accept its terms .*auth login`\.$"
    ):
        resolve_model(REPO)

    assert not [*cache.rglob("*.safetensors")]


@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer.json"])
def test_a_half_downloaded_model_offline_is_told_of(
    hub: dict[str, Path], missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = resolve_model(REPO).path
    weights = (folder / missing).resolve()
    (folder / missing).unlink()
    weights.rename(weights.with_suffix(".incomplete"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    with pytest.raises(ModelDownloadError, match=r"downloaded: only a part of it is in the cache, and the model hub"):
        resolve_model(REPO)


def test_hub_that_cannot_be_reached(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")

    with pytest.raises(ModelDownloadError, match=r"^The model tiny/llama could not .* hub cannot be reached\.$"):
        resolve_model(REPO)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("smollm2", "smollm2-135m"),
        ("SmolLM2-135M", "smollm2-135m"),
        ("qwen2.5-coder-0.5b", "Qwen/Qwen2.5-Coder-0.5B"),
        ("Qwen/Qwen2.5-Code-0.5B", "Qwen/Qwen2.5-Coder-0.5B"),
        ("Qwen/Qwen2.5-Coder-0.5B", ""),
        ("gpt2", ""),
        ("some/thing-else", ""),
    ],
)
def test_a_name_that_nearly_is_a_known_models_is_told_of(cache: Path, name: str, meant: str) -> None:
    with pytest.raises(ModelDownloadError) as caught:
        pull(name)

    assert str(caught.value).partition("cannot be reached.")[2] == (f" Is {meant} meant?" if meant else "")


def test_offline_without_the_model(cache: Path) -> None:
    with pytest.raises(ModelDownloadError, match="not in the cache"):
        resolve_model(REPO)


def test_cached_model_is_used_without_asking_the_hub(hub: dict[str, Path], asked: list[str]) -> None:
    first = resolve_model(REPO)
    asked.clear()

    assert resolve_model(REPO) == first
    assert pull(REPO) == first
    assert asked == []


def test_interrupted_download_is_completed(hub: dict[str, Path]) -> None:
    weights = resolve_model(REPO).path / "model.safetensors"
    weights.unlink()

    assert (resolve_model(REPO).path / "model.safetensors").is_file()


def test_cached_model_is_listed_with_its_licence(hub: dict[str, Path]) -> None:
    files = resolve_model(REPO)

    [model] = list_models()

    assert (model.name, model.path, model.licence) == (REPO, files.path, "mit")
    assert model.size_bytes >= (hub[REPO] / "model.safetensors").stat().st_size


def test_cached_model_of_an_unsupported_family_is_not_listed(hub: dict[str, Path]) -> None:
    config = resolve_model(REPO).path / "config.json"
    config.unlink()  # a link to what is shared
    config.write_text('{"model_type": "mamba"}')

    assert list_models() == []


def test_removed_model_is_gone(hub: dict[str, Path], cache: Path) -> None:
    resolve_model(REPO)

    assert remove(REPO) > 0
    assert list_models() == []
    with pytest.raises(ModelNotFoundError, match="'tiny/llama' is not in the cache"):
        remove(REPO)


NO_NAMES = [
    ("x" * 5000, r"^There is no model 'x{60}\.\.\.': that has 5,000 letters\.$"),
    ("~nobody-here/m", r"^There is no folder ~nobody-here/m: no user here is called 'nobody-here'\.$"),
    ("a\0b", "that is no name"),
    ("", "that is no name"),
]


@pytest.mark.parametrize(("name", "told"), NO_NAMES, ids=["long", "nobody", "control", "empty"])
def test_what_can_be_no_name_is_told_of(cache: Path, name: str, told: str) -> None:
    with pytest.raises(ModelNotFoundError, match=told):
        resolve_model(name)


@pytest.mark.parametrize("name", ["no such model", "a/b/c", "org/"])
def test_name_that_cannot_be_a_model(cache: Path, name: str) -> None:
    with pytest.raises(ModelNotFoundError, match="neither a known model, nor a folder, nor a Hugging Face id"):
        resolve_model(name)
