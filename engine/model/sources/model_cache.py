"""Our own folders of converted models: one folder each, with a manifest of sizes and hashes.

Of two kinds: "models" that users name, and "prepared", the same models prepared for a fast runner. A model appears and
disappears in one step, under a lock that several processes respect; what a killed process left behind is cleared by
the next one. Knows nothing of where models come from or how they are converted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import cattrs

from engine import config
from engine.checksum import sha256_of
from engine.errors import ModelCorruptError, ModelDownloadError
from engine.model.sizes import gigabytes
from engine.sentences import Sentence
from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Kind = Literal["models", "prepared"]

MANIFEST = "manifest.json"
_FORMER_KINDS = ("runners",)  # as older code called them; nobody reads them any more
_FORMAT = 1  # raise it when folders written by older code must not be used again


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """What a file must be."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a model's folder holds.

    Attributes:
        format: Version of this record and of the conversion.
        name: The name users ask by; also the name of the folder.
        source: Where the weights came from, for people.
        licence: SPDX identifier; None when not known.
        converted_with: The library that converted them, with its version.
        files: Every file of the folder but the manifest, by name.
    """

    format: int = _FORMAT
    name: str
    source: str
    licence: str | None
    converted_with: str
    files: dict[str, FileRecord] = field(default_factory=dict)


def folder_of(name: str, kind: Kind = "models") -> Path:
    """Where the model of that name lies, or would."""
    return _root(kind) / name


def find(name: str, kind: Kind = "models") -> Manifest | None:
    """The manifest of a model that is there, with every file of the right size; None when it is not there.

    A folder that older code wrote counts as not there. The manifest is written last: a file that was touched since is
    compared by its SHA-256, once.

    Raises:
        ModelCorruptError: If a file is missing, has another size, or was changed.
    """
    folder = folder_of(name, kind)
    if not re.fullmatch(r"\w[\w.-]*", name) or not folder.is_dir():
        return None
    manifest = _read(folder)
    if manifest.format != _FORMAT:
        return None
    for file_name, record in manifest.files.items():
        path = folder / file_name
        if not path.is_file():
            raise _damaged(name, f"{file_name} is missing")
        if path.stat().st_size != record.size_bytes:
            raise _damaged(name, f"{file_name} has the wrong size")
    stored_ns = _touched_ns(folder / MANIFEST)
    touched = [file_name for file_name in manifest.files if _touched_ns(folder / file_name) > stored_ns]
    for file_name in touched:
        _ensure_same(folder, manifest, file_name)
    if touched:
        with contextlib.suppress(OSError):  # then it is compared each time
            (folder / MANIFEST).touch()
    return manifest


def verify(name: str, kind: Kind = "models") -> Manifest | None:
    """Does what `find` does, and compares every file with its SHA-256.

    Raises:
        ModelCorruptError: If a file is missing or has changed.
    """
    manifest = find(name, kind)
    if manifest is not None:
        for file_name in manifest.files:
            _ensure_same(folder_of(name, kind), manifest, file_name)
    return manifest


def store(
    description: Manifest,
    *,
    needed_bytes: int,
    build: Callable[[Path, Path], None],
    progress: ProgressSink = no_progress,
    kind: Kind = "models",
) -> Manifest:
    """Builds a model in a working folder, and moves it to its place in one step.

    Does nothing when another process has stored it meanwhile, or when it is there and every byte is right.

    Args:
        description: What to write down about it; the files are added.
        needed_bytes: Disk space the whole way takes.
        build: Called with a folder for intermediate files and one for the model's own; fills the latter.
        progress: Is called when another process must be waited for.
        kind: What the folder holds.

    Raises:
        ModelDownloadError: If the disk is too full or refuses the files.
        ModelError: What `build` raises.
    """
    name = description.name
    try:
        _root(kind).mkdir(parents=True, exist_ok=True)
        for former in _FORMER_KINDS:
            shutil.rmtree(config.cache_dir() / former, ignore_errors=True)
        with _locked(name, progress, kind) as work:
            if (whole := _verified_or_none(name, kind)) is not None:
                return whole
            _ensure_room(name, needed_bytes, kind)
            converted = work / "converted"
            converted.mkdir(parents=True)
            build(work, converted)
            manifest = _write(description, converted)
            folder = folder_of(name, kind)
            if folder.exists():
                folder.rename(work / "damaged")
            converted.rename(folder)
            return manifest
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ModelDownloadError(
            Sentence(
                "The model {name} could not be stored in {root}: {reason}.", name=name, root=_root(kind), reason=reason
            )
        ) from error


def remove(name: str, kind: Kind = "models") -> int | None:
    """Deletes a model, whole or damaged; gives the bytes freed, or None when it was not there."""
    if name not in names(kind):
        return None
    with _locked(name, no_progress, kind) as work:
        freed_bytes = size_bytes(name, kind)
        folder_of(name, kind).rename(work)  # in one step, so that nobody ever sees half of it
    return freed_bytes


def names(kind: Kind = "models") -> list[str]:
    """The models that are there, whole or damaged."""
    root = _root(kind)
    if not root.is_dir():
        return []
    return sorted(folder.name for folder in root.iterdir() if folder.is_dir() and folder.name[0] != ".")


def prepared_from(name: str) -> list[str]:
    """What was prepared from the model of that name, whole or damaged."""
    return [other for other in names(kind="prepared") if other.startswith(f"{config.folder_name(name)}-")]


def size_bytes(name: str, kind: Kind = "models") -> int:
    """What a model takes on disk, whole or damaged."""
    return sum(path.stat().st_size for path in folder_of(name, kind).rglob("*") if path.is_file())


def _root(kind: Kind) -> Path:
    return config.cache_dir() / kind


@contextlib.contextmanager
def _locked(name: str, progress: ProgressSink, kind: Kind) -> Iterator[Path]:
    """Lets one process at a time work on a model; gives a path for work that is cleared before and after."""
    from filelock import FileLock, Timeout  # a model that is there needs none

    lock = FileLock(_root(kind) / f".{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(Sentence("Waiting for another process that is preparing {name}", name=name), 0, None)
        lock.acquire()
    work = _root(kind) / f".{name}.partial"
    try:
        shutil.rmtree(work, ignore_errors=True)
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        lock.release()


def _verified_or_none(name: str, kind: Kind) -> Manifest | None:
    try:
        return verify(name, kind)
    except ModelCorruptError:
        return None


def _ensure_room(name: str, needed_bytes: int, kind: Kind) -> None:
    free_bytes = shutil.disk_usage(_root(kind)).free
    if free_bytes < needed_bytes:
        raise ModelDownloadError(
            Sentence(
                "The model {name} needs {needed} of free disk space in {root}, and {free} are left.",
                name=name,
                needed=gigabytes(needed_bytes),
                root=_root(kind),
                free=gigabytes(free_bytes),
            )
        )


def _read(folder: Path) -> Manifest:
    try:
        return cattrs.structure(json.loads((folder / MANIFEST).read_bytes()), Manifest)
    except (OSError, ValueError, TypeError, cattrs.BaseValidationError) as error:
        raise _damaged(folder.name, f"{MANIFEST} cannot be read") from error


def _write(description: Manifest, folder: Path) -> Manifest:
    files = {
        path.name: FileRecord(size_bytes=path.stat().st_size, sha256=sha256_of(path))
        for path in sorted(folder.iterdir())
    }
    manifest = dataclasses.replace(description, files=files)
    text = json.dumps(cattrs.unstructure(manifest), indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return manifest


def _touched_ns(path: Path) -> int:
    """When it was written, or put where it is: a copy may keep the time of what it is a copy of."""
    found = path.stat()
    return max(found.st_mtime_ns, found.st_ctime_ns)


def _ensure_same(folder: Path, manifest: Manifest, file_name: str) -> None:
    if sha256_of(folder / file_name) != manifest.files[file_name].sha256:
        raise _damaged(folder.name, f"{file_name} has changed")


def _damaged(name: str, what: str) -> ModelCorruptError:
    return ModelCorruptError(
        Sentence(
            "The files of the model {name} are damaged ({what}): run `green-code models remove {name}`, and "
            "it is fetched anew when it is next used.",
            name=name,
            what=what,
        )
    )
