"""Rows of Parquet files, which data sets of the hub come in; the library that reads them is optional."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.errors import EngineError


def parquet_rows(path: Path, *, instead: str, refused: type[EngineError]) -> Iterator[Any]:
    """The rows of a file.

    Args:
        path: The file.
        instead: What the user may name a file of where it cannot be read, such as "JSON lines".
        refused: The kind of error that is raised then.
    """
    try:
        from pyarrow import parquet  # type: ignore[import-not-found]  # optional
    except ImportError:
        raise refused(
            f"Reading {path.name} needs pyarrow (`pip install pyarrow`); or name a file of {instead}."
        ) from None
    yield from parquet.read_table(path).to_pylist()
