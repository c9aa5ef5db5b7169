"""Where the trained exits of a model are kept. Knows nothing of what is in the files, and imports no torch."""

from __future__ import annotations

from pathlib import Path

from engine import config

PACKAGED = Path(__file__).with_name("artifacts")

_FILE_NAME = "trained_exits.safetensors"


def trained_exits_file(name: str) -> Path | None:
    """The file of the user's own trained exits of a model, else the shipped ones, else None."""
    candidates = (own_trained_exits_path(name), PACKAGED / config.folder_name(name) / _FILE_NAME)
    return next((path for path in candidates if path.is_file()), None)


def own_trained_exits_path(name: str) -> Path:
    """Where exits that were trained on this machine are kept."""
    return config.data_dir() / "exits" / config.folder_name(name) / _FILE_NAME
