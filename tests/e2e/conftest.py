"""Fixtures of the end-to-end test: the packaged extension in a strict VS Code, and a browser that shows it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.e2e import code_server
from tests.e2e.workbench import Workbench

ARTIFACTS = Path(__file__).parent / "artifacts"
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Editor:
    """A window of VS Code, and the process and folders behind it."""

    window: Workbench
    process: code_server.CodeServer
    workspace: Path


OpenEditor = Callable[..., AbstractContextManager[Editor]]


@pytest.fixture(scope="session")
def extensions(default_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged extension as an editor installs it; what it needs is checked here, before anything is started."""
    assert default_model_path.exists()
    if shutil.which("npm") is None:
        _missing("npm")
    code_server.install()
    return code_server.install_extension(code_server.build_vsix(), tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or _missing("Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_editor(extensions: Path, browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> OpenEditor:
    """Opens a workspace with the given files; settings of a user with our server are the default."""

    @contextlib.contextmanager
    def open_editor(
        files: dict[str, str], *, path: str | None = None, language: str = "en", **settings: object
    ) -> Iterator[Editor]:
        workspace = tmp_path / "workspace"
        for name, text in files.items():
            (workspace / name).parent.mkdir(parents=True, exist_ok=True)
            (workspace / name).write_text(text)
        settings = {"greenCode.interpreter": sys.executable, "greenCode.device": "cpu"} | settings
        where = {"extensions": extensions, "workspace": workspace, "home": tmp_path}
        with code_server.running(**where, settings=settings, path=path, language=language) as process:
            page = browser.new_page(viewport={"width": 1280, "height": 760})
            try:
                yield Editor(window=Workbench(page, process.url), process=process, workspace=workspace)
            finally:
                ARTIFACTS.mkdir(exist_ok=True)
                page.screenshot(path=ARTIFACTS / f"{request.node.name}-end.png")
                page.close()

    return open_editor


def _missing(what: str) -> str:
    """A person may lack it; CI may not."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing")
