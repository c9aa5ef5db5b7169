"""Where servers and engines meet."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def meeting() -> Iterator[Path]:
    """A folder with a short path: sockets have no long ones."""
    with tempfile.TemporaryDirectory(prefix="green-code-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
