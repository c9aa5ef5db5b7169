import hashlib
import json
import shutil
from pathlib import Path

import pytest

from engine.config import cache_dir
from engine.corpus.datasets import deduplicated, gather_corpus, in_turns
from engine.corpus.deduplication import shingles
from engine.corpus.packages import split_of
from engine.errors import TrainingError
from tests.engine.training.fakes import code, source_file, write_wheel

SEED = 3


def name_in(split: str) -> str:
    return next(f"{split}-{n}" for n in range(1000) if split_of(f"{split}-{n}", SEED) == split)


def test_what_stands_in_two_splits_stays_in_the_test_split() -> None:
    train, test = name_in("train"), name_in("test")
    files = [source_file(code("a"), package=train), source_file(code("a"), package=test)]

    assert deduplicated(files, [], seed=SEED) == [files[1]]


def test_files_with_a_benchmark_problem_are_dropped() -> None:
    files = [source_file(code("a")), source_file(code("b") + code("problem", lines=3))]

    assert deduplicated(files, [shingles(code("problem", lines=3))], seed=SEED) == files[:1]


def test_packages_take_turns() -> None:
    files = [source_file("", package=name, path=path) for name, path in ("a1", "a2", "a3", "b1", "b2")]

    assert [file.package + file.path for file in in_turns(files)] == ["a1", "b1", "a2", "b2", "a3"]


@pytest.fixture
def package_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three packages, one a split, that are in the cache already."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = cache_dir() / "corpus" / "packages"
    folder.mkdir(parents=True)
    packages = []
    for split in ("train", "validation", "test"):
        wheel = write_wheel(tmp_path / "wheel", {"a.py": code(split), "b.py": code(f"more_{split}")})
        sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
        wheel.rename(folder / sha256)
        pin = {"registry": "pypi", "version": "1", "language": "python", "licence": "MIT", "sha256": sha256}
        packages.append({"name": name_in(split), **pin})
    path = tmp_path / "corpus.json"
    path.write_text(json.dumps({"format": 1, "seed": SEED, "packages": packages}))
    return path


def test_a_package_gives_text_to_one_split_only(package_list: Path) -> None:
    corpus = gather_corpus(package_list=package_list)

    assert {split: {file.package for file in files} for split, files in corpus.files.items()} == {
        split: {name_in(split)} for split in ("test", "validation", "train")
    }


def test_gathering_again_gives_the_same_text_from_the_cache(package_list: Path) -> None:
    first = gather_corpus(package_list=package_list)
    shutil.rmtree(cache_dir() / "corpus" / "packages")

    assert gather_corpus(package_list=package_list) == first


def test_a_benchmark_keeps_its_problems_out(package_list: Path, tmp_path: Path) -> None:
    rows = [{"prompt": code("more_train", lines=15), "canonical_solution": ""}]
    (tmp_path / "benchmark.jsonl").write_text("\n".join(map(json.dumps, rows)))

    corpus = gather_corpus(package_list=package_list, benchmarks=[tmp_path / "benchmark.jsonl"])

    assert [file.path for file in corpus.files["train"]] == ["a.py"]


def test_an_unreadable_benchmark_is_told_in_one_sentence(package_list: Path, tmp_path: Path) -> None:
    (tmp_path / "benchmark.jsonl").write_text("{}\n")

    with pytest.raises(TrainingError, match="benchmark"):
        gather_corpus(package_list=package_list, benchmarks=[tmp_path / "benchmark.jsonl"])
