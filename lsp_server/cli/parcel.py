"""A model and the training text in a folder of small files, to be taken to a machine without a network.

Files above a limit lie there in parts. Knows nothing of what is done with them.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from engine.config import APP_NAME
from engine.errors import ConfigError
from engine.model.sources import model_cache

if TYPE_CHECKING:
    from engine.model.sources.store import ModelFiles

PART_BYTES = 55_000_000
_PART = ".part-"
_MODEL, _CORPUS = "model", "corpus"


def pack(files: ModelFiles, corpus: Path, folder: Path) -> None:
    """Writes a model and the training text into `folder`, no file of which is above `PART_BYTES`.

    Raises:
        ConfigError: If the folder cannot be written.
    """
    try:
        for path in sorted(path for path in files.path.iterdir() if path.is_file()):
            _split(path, folder / _MODEL / Path(files.name).name)
        _split(corpus, folder / _CORPUS)
    except OSError as error:
        raise _refused(folder, error) from error


def unpack(folder: Path, caches: Path) -> str:
    """Puts them together where a process with `caches` for XDG_CACHE_HOME finds them.

    Returns:
        What the model is to be called there: its name, or the folder that it is in.

    Raises:
        ConfigError: If this is no such folder, or cannot be read or written.
    """
    models = sorted((folder / _MODEL).glob("*/"))
    if len(models) != 1:
        raise ConfigError(f"There is no packed model in {folder}; `green-code bench gpu --pack FOLDER` packs one.")
    try:
        (model,) = models
        joined = caches / APP_NAME / "models" / model.name
        _join(model, joined)
        _join(folder / _CORPUS, caches / APP_NAME / "corpus")
    except OSError as error:
        raise _refused(folder, error) from error
    return model.name if (joined / model_cache.MANIFEST).is_file() else str(joined)


def _split(path: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if path.stat().st_size <= PART_BYTES:
        shutil.copyfile(path, folder / path.name)
        return
    with path.open("rb") as file:
        for number, part in enumerate(iter(lambda: file.read(PART_BYTES), b"")):
            (folder / f"{path.name}{_PART}{number:03}").write_bytes(part)


def _join(folder: Path, joined: Path) -> None:
    shutil.rmtree(joined, ignore_errors=True)  # parts of another time
    joined.mkdir(parents=True)
    for path in sorted(folder.iterdir()):  # in the order of their numbers
        name = path.name.partition(_PART)[0]
        with path.open("rb") as part, (joined / name).open("ab") as file:
            shutil.copyfileobj(part, file)


def _refused(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(f"The folder {folder} cannot be used: {(error.strerror or str(error)).lower()}.")
