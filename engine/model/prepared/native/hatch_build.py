"""Compiles the kernels when the project is built or installed.

Zig's C++ compiler comes from the package index for the time of the build, so that nobody needs one of their own. Where
there is nothing to compile for, or it fails, the wheel is one for every machine, and ONNX Runtime computes instead.
Knows nothing of the project but this folder, since it runs before anything is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags

if TYPE_CHECKING:
    from collections.abc import Sequence

_FOLDER = Path("engine/model/prepared/native")
_NAME = "green_code_kernels"
_SWITCH = "GREEN_CODE_KERNELS"  # "off" leaves them out; a wheel's platform builds for that one, wherever it is built
_COMPILER = "ziglang==0.17.1"  # exact, since Zig's options still change from version to version

# Zig's target and the libraries' suffix by a wheel's platform. The tests run on Linux only. Intel Macs are left out:
# PyTorch has no wheels for them any more.
_TARGETS = {
    "manylinux_2_17_x86_64": ("x86_64-linux-gnu.2.17", ".so"),
    "win_amd64": ("x86_64-windows-gnu", ".dll"),
}

# What each library is compiled to; `library.py` says which is loaded.
_INSTRUCTIONS = {
    "amx": ["-mcpu=x86_64_v4-prefer_256_bit+avx512vnni+amx_int8+amx_tile", "-DGREEN_CODE_AVX512", "-DGREEN_CODE_AMX"],
    "avx512": ["-mcpu=x86_64_v4-prefer_256_bit+avx512vnni", "-DGREEN_CODE_AVX512"],  # 16 lanes are one register
    "avxvnni": ["-mcpu=x86_64_v3+avxvnni", "-DGREEN_CODE_AVX_VNNI"],
    "avx2": ["-mcpu=x86_64_v3"],
}
_ANY_CPU = "-mcpu=x86_64"  # for `cpu.cpp`, which finds out whether this one has what the others need

_COMPILE = [
    *["-c", "-O3", "-std=c++17", "-fPIC", "-fno-exceptions", "-fno-rtti", "-fno-math-errno", "-Wall", "-Wextra"],
    "-ffp-contract=off",  # a row gets the same sums in whatever company it is computed
    *["-fvisibility=hidden", "-fvisibility-global-new-delete=force-hidden"],
    "-Werror=global-constructors",  # they would run on every CPU, as soon as the library is loaded
]
_LINK = ["-shared", "-s", "-nostdlib++", "-Wl,-z,defs", "-Wl,--gc-sections", "-lpthread"]


class KernelsHook(BuildHookInterface[Any]):
    """Puts the libraries beside their sources, where an editable install finds them, and into the wheel."""

    def dependencies(self) -> list[str]:
        """The compiler, where it is used at all."""
        return [_COMPILER] if _platform() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compiles before the files of the wheel are collected; a build without kernels goes on."""
        reason = self._build(build_data)
        if reason:
            self.app.display_warning(f"The native kernels are left out: {reason}")

    def _build(self, build_data: dict[str, Any]) -> str | None:
        """Tells what the wheel has become, or gives the reason why there are no kernels."""
        folder, platform = Path(self.root, _FOLDER), _platform()
        try:
            if platform is None:
                _put(folder, [])
                return f"there are none for this machine, or {_SWITCH} is off."
            target, suffix = _TARGETS[platform]
            with tempfile.TemporaryDirectory() as work, ThreadPoolExecutor(len(_INSTRUCTIONS)) as pool:
                compiled = partial(_compile, folder, work, target, suffix)
                _put(folder, list(pool.map(compiled, _INSTRUCTIONS)))  # all or none
        except OSError as error:
            _put(folder, [])
            return str(error)
        build_data["tag"] = f"py3-none-{platform}"
        build_data["pure_python"] = False
        build_data["artifacts"].append(f"/{_FOLDER.as_posix()}/{_NAME}_*{suffix}")  # though git ignores them
        return None


def _platform() -> str | None:
    """The platform to build for, or None where there are no kernels for this machine or they are not wanted."""
    switch = os.environ.get(_SWITCH)
    if switch == "off":
        return None
    here = {switch} if switch in _TARGETS else {tag.platform for tag in sys_tags()}
    return next((platform for platform in _TARGETS if platform in here), None)


def _put(folder: Path, libraries: Sequence[Path]) -> None:
    """Puts libraries in the place of those that were there, each in one step: a process may be about to load one."""
    for library in libraries:
        shutil.copyfile(library, folder / f".{library.name}")
        os.replace(folder / f".{library.name}", folder / library.name)  # noqa: PTH105 - both names are paths
    kept = {library.name for library in libraries}
    for old in folder.glob(f"{_NAME}*"):
        if old.name not in kept:
            old.unlink()


def _compile(folder: Path, work: str, target: str, suffix: str, instructions: str) -> Path:
    """Compiles the library for these instructions within `work`, and says where it lies."""
    objects = []
    for source in sorted(folder.glob("*.cpp")):
        cpu = [_ANY_CPU] if source.name == "cpu.cpp" else []  # behind the other: the last CPU counts
        objects.append(f"{work}/{source.stem}_{instructions}.o")
        _zig(work, target, *_COMPILE, *_INSTRUCTIONS[instructions], *cpu, str(source), "-o", objects[-1])
    library = Path(work, f"{_NAME}_{instructions}{suffix}")
    _zig(work, target, *_LINK, *objects, "-o", str(library))
    return library


def _zig(work: str, target: str, *arguments: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own sources
        [sys.executable, "-m", "ziglang", "c++", "-target", target, *arguments],
        env={**os.environ, "ZIG_GLOBAL_CACHE_DIR": work, "ZIG_LOCAL_CACHE_DIR": work},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise OSError(done.stdout or f"the compiler ended with {done.returncode}.")
