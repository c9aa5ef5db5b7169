"""The libraries of kernels: that an install builds them, who gets which, and what is built where they cannot be."""

import ctypes
import logging
import os
import platform
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hatchling.builders.wheel import WheelBuilder

from engine.model.prepared.native import library
from engine.model.prepared.native.library import Instructions, library_file

REPOSITORY = Path(__file__).parents[4]
FOLDER = "engine/model/prepared/native"
NEEDED: dict[Instructions, set[str]] = {
    "amx": {"amx_tile", "amx_int8", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512_vnni"},
    "avx512": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512_vnni"},
    "avxvnni": {"avx_vnni", "avx2"},
    "avx2": {"avx2", "fma", "f16c", "bmi1", "bmi2", "abm", "movbe", "xsave"},
}
LIBRARIES = {library_file(instructions).name for instructions in NEEDED}
ANY_MACHINE = "py3-none-any"

# In the place of Python with Zig: puts down what it is told to write.
COMPILER = """#!/bin/sh
while [ $# -gt 1 ]; do shift; done
echo compiled > "$1"
"""
BROKEN_FOR_AVX2 = """#!/bin/sh
case "$*" in *x86_64_v3*) exit 1;; esac
while [ $# -gt 1 ]; do shift; done
echo compiled > "$1"
"""
BROKEN = """#!/bin/sh
echo "layers.cpp:1: error: no such thing"
exit 1
"""

x86_linux = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the kernels are for x86-64, the test for Linux"
)


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("GREEN_CODE_KERNELS", raising=False)
    library._find.cache_clear()
    yield
    library._find.cache_clear()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What a build needs of the repository, without a library."""
    shutil.copytree(REPOSITORY / FOLDER, tmp_path / FOLDER, ignore=shutil.ignore_patterns("green_code_kernels*"))
    (tmp_path / "lsp_server").mkdir()
    (tmp_path / "lsp_server/__init__.py").touch()
    for name in ("pyproject.toml", ".gitignore", "README.md", "LICENSE", "engine/config.py"):  # it has the version
        shutil.copy(REPOSITORY / name, tmp_path / name)
    return tmp_path


def build(tree: Path, python: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Builds a wheel with a compiler in Python's place."""
    compiler = tree / "python"
    compiler.write_text(python)
    compiler.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(compiler))
    return Path(next(WheelBuilder(str(tree)).build(directory=str(tree / "dist"), versions=["standard"])))


def files_of(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return [Path(name).name for name in archive.namelist() if name.startswith(FOLDER)]


@x86_linux
def test_an_install_has_built_them_from_these_sources_for_cpus_that_can() -> None:
    flags = Path("/proc/cpuinfo").read_text().split()
    can = [instructions for instructions, needed in NEEDED.items() if needed.issubset(flags)]
    for instructions in NEEDED:
        built = ctypes.CDLL(str(library_file(instructions)))
        assert built.green_code_supported() == (instructions in can)
    assert library.instructions() == next(iter(can), None)
    assert (library.load() is not None) == bool(can) == (library.why_not() is None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the libraries are looked for, empty."""
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("cpu", "switch", "loaded"),
    [
        ({"amx", "avx512", "avxvnni", "avx2"}, "on", "amx"),
        ({"amx", "avx512", "avxvnni", "avx2"}, "avx512", "avx512"),
        ({"avx512", "avxvnni", "avx2"}, "on", "avx512"),
        ({"avxvnni", "avx2"}, "on", "avxvnni"),
        ({"avx512", "avxvnni", "avx2"}, "avxvnni", "avxvnni"),
        ({"avx512", "avx2"}, "avx2", "avx2"),
        ({"avx2"}, "on", "avx2"),
        ({"avx2"}, "avx512", None),
        (set(), "on", None),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_cpu_gets_the_fastest_that_it_can_run(
    cpu: set[str],
    switch: str,
    loaded: str | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    names = {str(library_file(instructions)): instructions for instructions in NEEDED}
    for name in names:
        Path(name).touch()
    monkeypatch.setattr(
        ctypes, "CDLL", lambda path: SimpleNamespace(name=names[path], green_code_supported=lambda: names[path] in cpu)
    )
    monkeypatch.setenv("GREEN_CODE_KERNELS", switch)
    with caplog.at_level(logging.INFO):
        assert getattr(library.load(), "name", None) == getattr(library.load(), "name", None) == loaded
    assert library.instructions() == loaded
    refused = [] if loaded else ["The native kernels are not for this CPU: it lacks AVX2 or what goes with it."]
    assert caplog.messages == refused
    assert library.why_not() == next(iter(refused), None)


@pytest.mark.parametrize("content", [None, b"not a library"])
def test_without_a_library_there_is_none(content: bytes | None, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not list(folder.iterdir())
    if content is not None:
        library_file("avx512").write_bytes(content)
    with caplog.at_level(logging.INFO):
        assert library.load() is None
    assert caplog.messages[0].startswith("There are no native kernels: ")


def test_a_missing_library_does_not_keep_the_next_from_being_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not list(folder.iterdir())
    library_file("avx2").touch()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(green_code_supported=lambda: 1))
    assert library.instructions() == "avx2"


def test_a_library_older_than_its_sources_is_not_loaded(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    library_file("avx512").touch()
    source = folder / "layers.h"
    source.touch()
    os.utime(source, (source.stat().st_mtime + 60,) * 2)
    with caplog.at_level(logging.INFO):
        assert library.load() is None
    assert caplog.messages == ["The native kernels are older than their sources; install Green Code again."]


@x86_linux
def test_the_libraries_lie_beside_their_sources_and_in_a_wheel_for_their_platform(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = build(tree, COMPILER, monkeypatch)
    assert "py3-none-manylinux" in wheel.name
    for name in LIBRARIES:
        assert (tree / FOLDER / name).read_text() == "compiled\n"
        assert name in files_of(wheel)
    assert not {"layers.cpp", "products.h", "hatch_build.py"} & set(files_of(wheel))


@pytest.mark.parametrize("python", [BROKEN, BROKEN_FOR_AVX2, "no program"])
def test_what_cannot_be_compiled_is_left_out(
    python: str, tree: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    wheel = build(tree, python, monkeypatch)
    assert ANY_MACHINE in wheel.name
    assert not LIBRARIES & set(files_of(wheel))
    assert not any((tree / FOLDER / name).exists() for name in LIBRARIES)
    assert "The native kernels are left out" in capfd.readouterr().err


@x86_linux
def test_switched_off_it_is_neither_built_nor_left_from_before(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tree, COMPILER, monkeypatch)
    monkeypatch.setenv("GREEN_CODE_KERNELS", "off")
    assert ANY_MACHINE in build(tree, COMPILER, monkeypatch).name
    assert not any((tree / FOLDER / name).exists() for name in LIBRARIES)
    assert library.load() is None
    assert WheelBuilder(str(tree)).config.dependencies == []  # nothing is fetched either
