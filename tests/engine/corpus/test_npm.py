"""Packages of npm, fetched by the real npm from a registry on this machine."""

import base64
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from engine.corpus.packages import Package, fetch_package
from engine.corpus.source_text import read_sources
from engine.errors import TrainingError
from tests.engine.training.fakes import package, typescript, write_tar

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def tarball(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only package of a registry, which is set as a user would set it."""
    folder = tmp_path / "registry"
    (folder / "@scope").mkdir(parents=True)
    manifest = {"name": "@scope/madeup", "version": "1.0.0"}
    members = {"package.json": json.dumps(manifest), "src/a.ts": typescript("a"), "dist/a.d.ts": typescript("b")}
    path = write_tar(folder / "madeup.tgz", {f"package/{name}": text.encode() for name, text in members.items()})
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    with _served(folder) as address:
        dist = {"tarball": f"{address}/madeup.tgz", "integrity": f"sha512-{digest}"}
        document = {
            "name": "@scope/madeup",
            "dist-tags": {"latest": "1.0.0"},
            "versions": {"1.0.0": {**manifest, "dist": dist}},
        }
        (folder / "@scope" / "madeup").write_text(json.dumps(document))
        (tmp_path / "npmrc").write_text(f"registry={address}/\ncache={tmp_path / 'cache'}\n")
        monkeypatch.setenv("npm_config_userconfig", str(tmp_path / "npmrc"))
        monkeypatch.setenv("npm_config_globalconfig", str(tmp_path / "none"))
        monkeypatch.setenv("npm_config_fetch_retries", "0")
        yield path


def _pinned(tarball: Path) -> Package:
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    return package("@scope/madeup", registry="npm", version="1.0.0", language="typescript", sha256=digest)


@needs_npm
def test_a_package_is_fetched_once_and_its_sources_are_read(tarball: Path, tmp_path: Path) -> None:
    wanted = _pinned(tarball)
    archive = fetch_package(wanted, tmp_path / "packages")
    tarball.unlink()

    assert fetch_package(wanted, tmp_path / "packages") == archive
    assert [path.name for path in (tmp_path / "packages").iterdir()] == [wanted.sha256]
    (found,) = read_sources(archive, wanted, max_chars=100_000)
    assert (found.path, found.text) == ("package/src/a.ts", typescript("a"))


@needs_npm
def test_another_file_than_the_pinned_one_is_refused(tarball: Path, tmp_path: Path) -> None:
    wanted = package("@scope/madeup", registry="npm", version="1.0.0", language="typescript", sha256="0" * 64)

    with pytest.raises(TrainingError, match=r"npm gave another file for @scope/madeup than version 1\.0\.0"):
        fetch_package(wanted, tmp_path / "packages")

    assert not list((tmp_path / "packages").iterdir())


@needs_npm
def test_another_file_than_the_registry_says_is_refused(tarball: Path, tmp_path: Path) -> None:
    wanted = _pinned(tarball)
    write_tar(tarball, {"package/src/a.ts": typescript("evil").encode()})

    with pytest.raises(TrainingError, match=r"another file for @scope/madeup 1\.0\.0: wrong checksum"):
        fetch_package(wanted, tmp_path / "packages")


def test_who_has_no_npm_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(TrainingError, match=r"needs npm; install Node\.js, or leave typescript out"):
        fetch_package(package("left", registry="npm", language="typescript"), tmp_path / "packages")
