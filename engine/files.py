"""Files as they are found and written: whole, or not at all. Knows nothing of what is in them."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from engine.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def is_file(path: Path) -> bool:
    """True for a file; False, and no error, also where a folder above it may not be entered."""
    return os.path.isfile(path)  # noqa: PTH113 - pathlib's raises


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives a file beside `path` to write, which takes its place at the end: `path` is whole, or as it was.

    Makes the folder where it is missing. Several processes may write at once: the last to end stays.

    Raises:
        OSError: If the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def disk_error(error: Exception) -> OSError | None:
    """The system's error behind one of a library that is told by its number in the text; None where there is none."""
    code = re.search(r"os error (\d+)", str(error))
    return None if code is None else OSError(int(code[1]), os.strerror(int(code[1])))


def read_source(path: Path) -> str:
    r"""The text of a file, with "\n" line ends.

    Raises:
        ConfigError: It cannot be read, or is not UTF-8.
    """
    try:
        with path.open(encoding="utf-8", newline=None) as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise ConfigError(f"The file {path} is not UTF-8 text; save it as UTF-8 first.") from error
    except OSError as error:
        raise ConfigError(f"The file {path} cannot be read: {error.strerror}.") from error
