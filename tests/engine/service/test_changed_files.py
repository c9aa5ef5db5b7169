"""A real engine in its process, and what happens to the files of its model meanwhile."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from engine.config import EngineConfig
from engine.errors import EngineLostError
from engine.model.sources import model_cache
from engine.service.endpoint import Endpoint
from engine.service.opened import open_shared
from engine.types import CompletionRequest, no_progress
from tests.engine.model.sources.tiny_gguf import write_tiny_gguf
from tests.engine.service.hosted import Asked, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.service.shared_engine import SharedEngine

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform == "win32", reason="there nobody can change what is mapped"),
]

ASKS = CompletionRequest(prefix="ab", green_mode=0, max_new_tokens=8)
CHANGED = "The model's files were changed while it ran; it is loaded again."
ENDED = "The engine has ended and is started again."


class Windows:
    """Windows on one engine of a tiny model."""

    def __init__(self, meeting: Path, model: Path) -> None:
        self._meeting, self._config = meeting, EngineConfig(model=str(model), device="cpu", shared=True)

    def open(self) -> SharedEngine:
        return open_shared(self._config, no_progress, folder=self._meeting, linger_s=0.1)

    def until_engine_has_gone(self) -> None:
        endpoint = Endpoint.of(self._config, self._meeting)
        until(lambda: endpoint.process_id is None)

    @property
    def prepared(self) -> Path:
        (name,) = model_cache.names(kind="prepared")
        return model_cache.folder_of(name, kind="prepared")


@pytest.fixture
def windows(meeting: Path, own_cache: Path, own_data: Path, tmp_path: Path) -> Windows:
    write_tiny_gguf(tmp_path / "tiny.gguf", hidden_size=128)
    return Windows(meeting, tmp_path / "tiny.gguf")


def tokens(engine: SharedEngine) -> list[str]:
    decoded = [token.text for token in Asked(engine, ASKS).answer().tokens]
    assert decoded
    return decoded


def weights(prepared: Path) -> list[Path]:
    return [path for path in prepared.iterdir() if path.suffix in {".npy", ".onnx", ".data", ".weights"}]


def overwrite(prepared: Path) -> None:
    for path in weights(prepared):
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(os.urandom(path.stat().st_size - file.tell()))


def cut_short(prepared: Path) -> None:
    for path in weights(prepared):
        os.truncate(path, 0)


def replace(prepared: Path) -> None:
    for path in weights(prepared):
        other = path.with_suffix(".other")
        other.write_bytes(os.urandom(path.stat().st_size))
        other.replace(path)


@pytest.mark.parametrize("write", [overwrite, cut_short])
def test_an_engine_whose_files_are_written_into_says_so_and_the_next_has_them_anew(
    windows: Windows, write: Callable[[Path], None]
) -> None:
    first, second = windows.open(), windows.open()
    before = tokens(first)

    write(windows.prepared)

    with pytest.raises(EngineLostError, match=CHANGED):
        tokens(first)
    with pytest.raises(EngineLostError, match=ENDED):
        tokens(second)
    others = [windows.open(), windows.open()]
    assert [tokens(other) for other in others] == [before, before]
    for engine in (first, second, *others):
        engine.close()
    windows.until_engine_has_gone()


@pytest.mark.parametrize("remove", [replace, shutil.rmtree])
def test_an_engine_whose_files_are_replaced_goes_on_and_the_next_has_them_anew(
    windows: Windows, remove: Callable[[Path], None]
) -> None:
    first, second = windows.open(), windows.open()
    before = tokens(first)

    remove(windows.prepared)

    assert [tokens(first), tokens(second)] == [before, before]
    first.close()
    second.close()
    windows.until_engine_has_gone()
    later = windows.open()
    assert tokens(later) == before
    later.close()
    windows.until_engine_has_gone()
