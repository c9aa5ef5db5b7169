"""Models of the Hugging Face hub, kept in the cache that all Hugging Face libraries share.

Asks the network only for what the cache lacks. Knows nothing of GGUF or of our own cache.
"""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import huggingface_hub
import yaml  # type: ignore[import-untyped]  # it ships no types
from huggingface_hub import errors as hub_errors
from tqdm.auto import tqdm  # type: ignore[import-untyped]  # it ships no types

from engine.errors import ModelCorruptError, ModelDownloadError, ModelError, ModelNotFoundError
from engine.model.catalogue import CATALOGUE
from engine.model.families import FAMILIES
from engine.model.sizes import refuse_too_large
from engine.model.sources.model_folder import (
    check_configuration,
    check_folder,
    has_tokenizer,
    has_weights,
    settings_of,
)
from engine.sentences import Sentence
from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# Only what from_pretrained reads at the top level; many repositories carry the same weights in other formats too.
_METADATA = ["*.json", "*.jinja", "merges.txt", "tokenizer.model", "README.md", "LICENSE*"]
_SAFETENSORS = ["model.safetensors", "model-*-of-*.safetensors"]
_ALIKE = 0.8  # of two names' letters
_TELLING = 4  # letters, below which a name may be anybody's
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


def fetch(repo_id: str, *, progress: ProgressSink) -> Path:
    """The folder of a model of the hub, from the cache or else downloaded.

    Raises:
        ModelNotFoundError: If the hub has no such model.
        ModelDownloadError: If the hub cannot be reached, refuses, or the disk does.
        ModelCorruptError: If it holds no weights that transformers could load, or a file's hash is not the hub's.
        UnsupportedModelError: If its family is not supported; the weights are not fetched then.
        ModelError: If this machine has too little memory or disk for it; nor then.
    """
    try:
        if (cached := _cached_folder(repo_id)) is not None:
            check_folder(cached)
            return cached
        configured = _snapshot(repo_id, ["config.json"])
        settings = check_configuration(configured)
        refuse_too_large(repo_id, settings, free_disk_bytes=_free_disk_bytes())
        revision = configured.name  # a commit; every file is of this one, be there a newer one meanwhile
        for weights in (_SAFETENSORS, _PICKLED):
            folder = _snapshot(repo_id, [*_METADATA, *weights], revision=revision, progress=progress)
            if has_weights(folder):
                _verify(repo_id, revision)
                check_folder(folder)
                return folder
    except _FAULTS as error:
        raise _explain(repo_id, error) from error
    raise ModelCorruptError(
        Sentence("The model {repo_id} holds no weights in a format that can be used.", repo_id=repo_id)
    )


def configuration(repo_id: str) -> Mapping[str, Any]:
    """What a model of the hub says of itself, from the cache or else fetched; none of its weights is.

    Raises:
        ModelError: As `fetch`.
    """
    try:
        return check_configuration(_snapshot(repo_id, ["config.json"]))
    except _FAULTS as error:
        raise _explain(repo_id, error) from error


def cached_repos() -> list[CachedRepo]:
    """The models of supported families in the Hugging Face cache."""
    found = []
    for repo in _scan():
        folder = _cached_folder(repo.repo_id) if repo.repo_type == "model" else None
        if folder is not None and settings_of(folder).get("model_type") in FAMILIES:
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
    repo_id: str,
    patterns: list[str],
    *,
    revision: str | None = None,
    local_files_only: bool = False,
    progress: ProgressSink = no_progress,
) -> Path:
    """The folder of a revision, which is called as its commit is; None for the newest."""
    bar = _bar_class(Sentence("Downloading {name}", name=repo_id), progress)
    return Path(
        huggingface_hub.snapshot_download(
            repo_id, revision=revision, allow_patterns=patterns, local_files_only=local_files_only, tqdm_class=bar
        )
    )


def _verify(repo_id: str, revision: str) -> None:
    """Compares each file's hash with the hub's; removes all of them where one is another."""
    found = huggingface_hub.HfApi().verify_repo_checksums(repo_id, revision=revision)
    if found.mismatches:
        remove(repo_id)
        file = found.mismatches[0]["path"]
        raise ModelCorruptError(
            Sentence(
                "The file {file} of {repo_id} came with another hash than the hub tells, and was removed; try again.",
                file=file,
                repo_id=repo_id,
            )
        )


def _cached_folder(repo_id: str) -> Path | None:
    """A model of the cache with all its weights and its tokenizer; does not touch the network."""
    try:
        folder = _snapshot(repo_id, _METADATA, local_files_only=True)
    except (hub_errors.LocalEntryNotFoundError, hub_errors.HFValidationError):
        return None
    return folder if has_weights(folder) and has_tokenizer(folder) else None


def _free_disk_bytes() -> int:
    folder = Path(huggingface_hub.constants.HF_HUB_CACHE)
    while not folder.is_dir():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _scan() -> Collection[Any]:
    try:
        return huggingface_hub.scan_cache_dir(huggingface_hub.constants.HF_HUB_CACHE).repos
    except huggingface_hub.CacheNotFound:
        return ()


def _licence(folder: Path) -> str | None:
    """What the head of the model card says."""
    try:
        head = huggingface_hub.metadata_load(folder / "README.md")
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return head.get("license") if head else None


def _meant(repo_id: str) -> str:
    """The known model that a name of none was likely meant for; "" where it is one, or like none."""
    known = {name: model.name for model in CATALOGUE for name in (model.name.lower(), _last(model.name.lower()))}
    name = repo_id.lower()
    if repo_id in known.values() or len(name) < _TELLING:
        return ""
    begun = [each for each in known if each.startswith(name)]
    alike = begun or get_close_matches(name, known, n=1, cutoff=_ALIKE)
    return known[alike[0]] if alike else ""


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _explain(repo_id: str, error: BaseException) -> ModelError:
    told = _fault(repo_id, error)
    if meant := _meant(repo_id):
        return type(told)(Sentence("{told} Is {name} meant?", told=told.args[0], name=meant))
    return told


def _fault(repo_id: str, error: BaseException) -> ModelError:
    if isinstance(error, hub_errors.LocalEntryNotFoundError) and error.__cause__ is not None:
        return _fault(repo_id, error.__cause__)
    if isinstance(error, hub_errors.HFValidationError):
        return ModelNotFoundError(
            Sentence("'{repo_id}' is neither a known model, nor a folder, nor a Hugging Face id.", repo_id=repo_id)
        )
    if isinstance(error, hub_errors.RepositoryNotFoundError) and not isinstance(error, hub_errors.GatedRepoError):
        return ModelNotFoundError(Sentence("The model hub has no model {repo_id}, or it is private.", repo_id=repo_id))
    return ModelDownloadError(
        Sentence("The model {name} could not be downloaded: {reason}.", name=repo_id, reason=_reason(repo_id, error))
    )


def _reason(repo_id: str, error: BaseException) -> str:
    if isinstance(error, hub_errors.GatedRepoError):
        return Sentence("accept its terms on its page, and log in with `hf auth login`")
    if isinstance(error, hub_errors.HfHubHTTPError):
        return Sentence("the model hub answered {status}", status=error.response.status_code)
    if isinstance(error, OSError) and error.errno is not None:
        return (error.strerror or str(error)).lower()
    name = huggingface_hub.file_download.repo_folder_name(repo_id=repo_id, repo_type="model")
    is_begun = any(Path(huggingface_hub.constants.HF_HUB_CACHE, name).glob("snapshots/*/*"))
    if is_begun:
        return Sentence("only a part of it is in the cache, and the model hub cannot be reached")
    return Sentence("it is not in the cache, and the model hub cannot be reached")


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
