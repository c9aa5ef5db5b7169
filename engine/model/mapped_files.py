"""`MappedFiles`: whether somebody has written into the files that a model runs on.

Weights that are mapped into memory change with their file: overwritten, they are another model's or none at all, and
where the file was cut short the process dies. A file that is deleted, or replaced by another under its name, is no
trouble: what was mapped stays as it was. It knows nothing of what is in them.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.errors import EngineLostError
from engine.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


class MappedFiles:
    """Files as they were when this was made, which is before they are opened."""

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        self._seen = {path: _looks(path) for path in paths}

    @contextmanager
    def unwritten(self) -> Iterator[None]:
        """Around what is computed from them, so that nothing counts that was computed from something else.

        Raises:
            EngineLostError: Somebody has written into one, before or meanwhile.
        """
        self._refuse_written()
        yield
        self._refuse_written()

    def refuse_others(self) -> None:
        """Before one of them is opened once more.

        Raises:
            EngineLostError: One has been written into, replaced or deleted.
        """
        if any(_looks(path) != seen for path, seen in self._seen.items()):
            raise _changed()

    def _refuse_written(self) -> None:
        for path, seen in self._seen.items():
            now = _looks(path)
            if now != seen and now[:1] == seen[:1]:  # the same file with other bytes
                raise _changed()


def _looks(path: Path) -> tuple[int, ...]:
    """Which file it is, its size, and when it was written; nothing where it is gone."""
    try:
        found = os.stat(path)  # noqa: PTH116 - ten of them at each request, and pathlib's takes twice as long
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _changed() -> EngineLostError:
    return EngineLostError(Sentence("The model's files were changed while it ran; it is loaded again."))
