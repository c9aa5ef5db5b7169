import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from engine.corpus.packages import PACKAGE_LIST, RECENT_PACKAGES, fetch_package, read_package_list, split_of
from engine.errors import TrainingError
from tests.engine.training.fakes import code, package, write_wheel

PERMISSIVE = {"MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause"}


@pytest.mark.parametrize("path", [PACKAGE_LIST, RECENT_PACKAGES], ids=lambda path: path.stem)
def test_every_listed_package_is_pinned_and_permissive(path: Path) -> None:
    for listed in read_package_list(path).packages:
        assert listed.version
        assert len(listed.sha256) == 64
        assert int(listed.sha256, 16)
        assert listed.licence in PERMISSIVE


@pytest.mark.parametrize("path", [PACKAGE_LIST, RECENT_PACKAGES], ids=lambda path: path.stem)
def test_no_listed_package_stands_twice(path: Path) -> None:
    packages = read_package_list(path).packages

    assert max(Counter(listed.name for listed in packages).values()) == 1
    assert max(Counter(listed.sha256 for listed in packages).values()) == 1


@pytest.mark.parametrize("language", ["python", "java"])
def test_every_split_has_several_packages_of_each_language(language: str) -> None:
    package_list = read_package_list()
    splits = Counter(split_of(p.name, package_list.seed) for p in package_list.packages if p.language == language)

    assert set(splits) == {"train", "validation", "test"}
    assert min(splits.values()) >= 3
    assert splits["train"] > splits["validation"] + splits["test"]


def test_the_split_depends_on_the_seed_and_the_name_alone() -> None:
    names = [f"package-{n}" for n in range(200)]

    assert [split_of(name, 1) for name in names] == [split_of(name, 1) for name in names]
    assert [split_of(name, 1) for name in names] != [split_of(name, 2) for name in names]


def test_an_unreadable_list_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(json.dumps({"format": 1, "packages": "none"}))

    with pytest.raises(TrainingError, match="cannot be read"):
        read_package_list(tmp_path / "list.json")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index that is a folder, for the real pip."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    metadata = "Metadata-Version: 2.1\nName: madeup\nVersion: 1.0\n"
    members = {
        "madeup.py": code("madeup"),
        "madeup-1.0.dist-info/METADATA": metadata,
        "madeup-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "madeup-1.0.dist-info/RECORD": "",
    }
    return write_wheel(folder / "madeup-1.0-py3-none-any.whl", members)


def test_a_package_is_fetched_once(index: Path, tmp_path: Path) -> None:
    wanted = package("madeup", version="1.0", sha256=hashlib.sha256(index.read_bytes()).hexdigest())
    archive = fetch_package(wanted, tmp_path / "packages")
    index.unlink()

    assert fetch_package(wanted, tmp_path / "packages") == archive
    assert sorted(path.name for path in (tmp_path / "packages").iterdir()) == [wanted.sha256]


def test_another_file_than_the_pinned_one_is_refused(index: Path, tmp_path: Path) -> None:
    wanted = package("madeup", version="1.0", sha256="0" * 64)

    with pytest.raises(TrainingError, match="wrong checksum"):
        fetch_package(wanted, tmp_path / "packages")

    assert not list((tmp_path / "packages").iterdir())


def test_a_package_that_is_not_there_is_told_in_one_sentence(index: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"could not fetch absent 2\.0"):
        fetch_package(package("absent", version="2.0", sha256="0" * 64), tmp_path / "packages")
