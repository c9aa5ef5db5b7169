from __future__ import annotations

import _ctypes
import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pynvml
import pytest

from tests.engine.energy.nvml_stand_in import script

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).with_name("nvml_stand_in.c")
SONAME = "libnvidia-ml.so.1"  # what `pynvml` asks the loader for


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        assert not os.environ.get("CI"), "CI has a compiler of C"
        pytest.skip("there is no compiler of C")
    library = tmp_path_factory.mktemp("nvml") / SONAME
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", f"-Wl,-soname,{SONAME}", "-o", library, SOURCE],
        check=True,
    )
    return library


@pytest.fixture
def nvml(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ctypes.CDLL]:
    """The stand-in, loaded before anybody asks for NVML by name; unloaded behind the test."""
    stand_in = ctypes.CDLL(str(compiled), mode=ctypes.RTLD_GLOBAL)
    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "_nvmlLib_refcount", 0)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    stand_in.stand_in_begin(1, 0)
    script(stand_in, 0)
    yield stand_in
    assert stand_in.stand_in_inits() == 0, "NVML was not given back"
    if pynvml.nvmlLib is not None:
        _ctypes.dlclose(pynvml.nvmlLib._handle)
    _ctypes.dlclose(stand_in._handle)
