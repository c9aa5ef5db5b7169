"""Models of the Hugging Face hub, kept in the cache that all Hugging Face libraries share.

Also checks any folder that looks like such a model: a supported family, and weights that are all there. Asks the
network only for what the cache lacks. Knows nothing of GGUF or of our own cache.
"""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import huggingface_hub
import yaml  # type: ignore[import-untyped]  # it ships no types
from huggingface_hub import errors as hub_errors
from tqdm.auto import tqdm  # type: ignore[import-untyped]  # it ships no types

from engine.errors import ModelCorruptError, ModelDownloadError, ModelError, ModelNotFoundError
from engine.model.families import FAMILIES, refuse_other_layers, supported_family
from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Collection

# Only what from_pretrained reads at the top level; many repositories carry the same weights in other formats too.
_METADATA = ["*.json", "*.jinja", "merges.txt", "tokenizer.model", "README.md", "LICENSE*"]
_SAFETENSORS = ["model.safetensors", "model-*-of-*.safetensors"]
_PICKLED = ["pytorch_model.bin", "pytorch_model-*-of-*.bin"]  # all there is of OPT; read with weights_only=True

# What the hub client lets through: of the disk, of hf_xet, of a name that cannot be an id, and of its HTTP library,
# which is httpx or httpx2 according to its version.
_FAULTS = (
    OSError,
    RuntimeError,
    hub_errors.HFValidationError,
    hub_errors.HTTPError,  # type: ignore[attr-defined]  # imported there, not declared as exported
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedRepo:
    """A model in the Hugging Face cache; `licence` is None when its card does not name one."""

    name: str
    path: Path
    size_bytes: int
    licence: str | None


def fetch(repo_id: str, *, progress: ProgressSink = no_progress) -> Path:
    """The folder of a model of the hub, from the cache or else downloaded.

    Raises:
        ModelNotFoundError: If the hub has no such model.
        ModelDownloadError: If the hub cannot be reached, refuses, or the disk does.
        ModelCorruptError: If it holds no weights that transformers could load.
        UnsupportedModelError: If its family is not supported; the weights are not fetched then.
    """
    try:
        if (cached := _cached_folder(repo_id)) is not None:
            check_folder(cached)
            return cached
        check_family(_snapshot(repo_id, ["config.json"]))
        for weights in (_SAFETENSORS, _PICKLED):
            folder = _snapshot(repo_id, [*_METADATA, *weights], progress=progress)
            if _has_weights(folder):
                return folder
    except _FAULTS as error:
        raise _explain(repo_id, error) from error
    raise ModelCorruptError(f"The model {repo_id} holds no weights in a format that can be used.")


def check_folder(folder: Path) -> None:
    """Checks that a folder holds a model that can be loaded.

    Raises:
        ModelNotFoundError: If there is no such folder, or no model in it.
        ModelCorruptError: If its configuration or weights are not whole.
        UnsupportedModelError: If its family is not supported.
    """
    check_family(folder)
    if not _has_weights(folder):
        raise ModelCorruptError(f"The model in {folder} lacks its weights, or part of them.")


def check_family(folder: Path) -> None:
    """Checks the family that config.json names.

    Raises:
        ModelNotFoundError: If there is no such folder, or no model in it.
        ModelCorruptError: If its configuration cannot be read.
        UnsupportedModelError: If its family is not supported.
    """
    if not folder.is_dir():
        raise ModelNotFoundError(f"There is no folder {folder}.")
    if not (folder / "config.json").is_file():
        raise ModelNotFoundError(f"There is no model in {folder}: it has no config.json.")
    settings = _settings(folder)
    family = settings.get("model_type")
    if not isinstance(family, str):
        raise ModelCorruptError(f"{folder / 'config.json'} does not describe a model.")
    supported_family(family, f"The model in {folder}")
    refuse_other_layers(settings, f"The model in {folder}")


def cached_repos() -> list[CachedRepo]:
    """The models of supported families in the Hugging Face cache."""
    found = []
    for repo in _scan():
        folder = _cached_folder(repo.repo_id) if repo.repo_type == "model" else None
        if folder is not None and _settings(folder).get("model_type") in FAMILIES:
            found.append(
                CachedRepo(name=repo.repo_id, path=folder, size_bytes=repo.size_on_disk, licence=_licence(folder))
            )
    return found


def remove(repo_id: str) -> int | None:
    """Deletes a model from the Hugging Face cache; gives the bytes freed, or None when it was not there."""
    for repo in _scan():
        if repo.repo_type == "model" and repo.repo_id == repo_id:
            size_bytes: int = repo.size_on_disk
            shutil.rmtree(repo.repo_path)
            return size_bytes
    return None


def _snapshot(
    repo_id: str, patterns: list[str], *, local_files_only: bool = False, progress: ProgressSink = no_progress
) -> Path:
    bar = _bar_class(f"Downloading {repo_id}", progress)
    return Path(
        huggingface_hub.snapshot_download(
            repo_id, allow_patterns=patterns, local_files_only=local_files_only, tqdm_class=bar
        )
    )


def _cached_folder(repo_id: str) -> Path | None:
    """A model of the cache with all its weights; does not touch the network."""
    try:
        folder = _snapshot(repo_id, _METADATA, local_files_only=True)
    except (hub_errors.LocalEntryNotFoundError, hub_errors.HFValidationError):
        return None
    return folder if _has_weights(folder) else None


def _scan() -> Collection[Any]:
    try:
        return huggingface_hub.scan_cache_dir(huggingface_hub.constants.HF_HUB_CACHE).repos
    except huggingface_hub.CacheNotFound:
        return ()


def _has_weights(folder: Path) -> bool:
    """Whether one file holds the weights, or an index names shards that are all there."""
    return any(
        (folder / single).is_file() or _has_shards(folder, folder / f"{single}.index.json")
        for single in ("model.safetensors", "pytorch_model.bin")
    )


def _has_shards(folder: Path, index: Path) -> bool:
    try:
        shards = json.loads(index.read_bytes())["weight_map"].values()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return bool(shards) and all((folder / shard).is_file() for shard in set(shards))


def _settings(folder: Path) -> dict[str, Any]:
    """What config.json says; nothing where it cannot be read."""
    try:
        settings = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return settings if isinstance(settings, dict) else {}


def _licence(folder: Path) -> str | None:
    """What the head of the model card says."""
    try:
        head = huggingface_hub.metadata_load(folder / "README.md")
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return head.get("license") if head else None


def _explain(repo_id: str, error: BaseException) -> ModelError:
    if isinstance(error, hub_errors.LocalEntryNotFoundError) and error.__cause__ is not None:
        return _explain(repo_id, error.__cause__)
    if isinstance(error, hub_errors.HFValidationError):
        return ModelNotFoundError(f"'{repo_id}' is neither a known model, nor a folder, nor a Hugging Face id.")
    if isinstance(error, hub_errors.RepositoryNotFoundError) and not isinstance(error, hub_errors.GatedRepoError):
        return ModelNotFoundError(f"The model hub has no model {repo_id}, or it is private.")
    return ModelDownloadError(f"The model {repo_id} could not be downloaded: {_reason(error)}.")


def _reason(error: BaseException) -> str:
    if isinstance(error, hub_errors.GatedRepoError):
        return "accept its terms on its page, and log in with `hf auth login`"
    if isinstance(error, hub_errors.HfHubHTTPError):
        return f"the model hub answered {error.response.status_code}"
    if isinstance(error, OSError) and error.errno is not None:
        return (error.strerror or str(error)).lower()
    return "it is not in the cache, and the model hub cannot be reached"


def _bar_class(message: str, progress: ProgressSink) -> type[tqdm]:
    """A tqdm that tells `progress` of bytes and draws nothing.

    The hub client keeps two bars of bytes, received and written, that overtake each other; we tell the larger.
    """
    told = 0

    class SinkBar(tqdm):  # type: ignore[misc]  # untyped base
        monitor_interval = 0  # no thread that looks after stuck bars: it stumbles over those that others open meanwhile

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "file": io.StringIO(), "disable": False})

        def display(self, msg: str | None = None, pos: int | None = None) -> bool:
            nonlocal told
            if self.unit == "B" and self.total and self.n >= told:
                told = int(self.n)
                progress(message, told, int(self.total))
            return True

    return SinkBar
