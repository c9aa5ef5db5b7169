"""From the packaged extension to the first accepted suggestion, on a machine that has no server yet."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from playwright.sync_api import expect
from transformers import PreTrainedTokenizerFast

from tests.e2e.conftest import ARTIFACTS
from tests.e2e.test_vscode import CODE
from tests.e2e.workbench import LOAD_TIMEOUT_MS
from tests.engine.model.tiny_tokenizer import LETTERS
from tests.tiny_models import tiny_model

if TYPE_CHECKING:
    from tests.e2e.conftest import OpenEditor

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.network, pytest.mark.timeout(900)]

INSTALL_TIMEOUT_MS = 600_000


def test_one_click_brings_a_server_and_a_cancelled_repair_leaves_it_alone(
    open_editor: OpenEditor, tmp_path: Path
) -> None:
    with open_editor({"shapes.py": CODE}, path=path_without_ours(), **{"greenCode.interpreter": ""}) as editor:
        window = editor.window
        page = window.page
        window.open_file("shapes.py")
        expect(window.status).to_have_attribute("aria-label", re.compile("to be installed"), timeout=LOAD_TIMEOUT_MS)
        page.screenshot(path=ARTIFACTS / "welcome.png")

        page.get_by_role("button", name="Install Server").click()
        expect(window.status).to_have_attribute("aria-label", re.compile("step 3 of 4"), timeout=LOAD_TIMEOUT_MS)
        page.screenshot(path=ARTIFACTS / "installing.png")
        expect(window.status).to_have_attribute(
            "aria-label", re.compile("^Green Code: ready"), timeout=INSTALL_TIMEOUT_MS
        )
        (sentence,) = window.notifications()
        assert "Green Code is ready: type" in sentence
        storage = editor.process.settings_file.parent / "globalStorage" / "green-code.green-code"
        assert [*storage.glob("server-*/**/site-packages/lsp_server")]
        assert not [*storage.glob("server-*/**/site-packages/torch")]  # which a CPU does without
        page.screenshot(path=ARTIFACTS / "installed.png")

        window.type_at_end("def rectangle(width, height):", "return ")
        assert window.ghost_text()
        window.press("Tab")

        window.run_command("Green Code: Repair Server")
        expect(window.status).to_have_attribute("aria-label", re.compile("step 3 of 4"), timeout=LOAD_TIMEOUT_MS)
        window.type_at_end("", "", "", "def triangle(width, height):", "return ")
        assert window.ghost_text()  # the old server serves meanwhile
        window.press("Tab")
        page.get_by_role("button", name="Cancel").click()
        expect(window.status).to_have_attribute("aria-label", re.compile("^Green Code: ready"), timeout=LOAD_TIMEOUT_MS)
        window.type_at_end("", "", "", "def circle(radius):", "return ")
        assert window.ghost_text()
        assert len([*storage.glob("server-*")]) == 1


def test_an_installation_that_is_killed_is_begun_again_by_a_click(open_editor: OpenEditor) -> None:
    with open_editor({"shapes.py": CODE}, path=path_without_ours(), **{"greenCode.interpreter": ""}) as editor:
        window = editor.window
        window.page.get_by_role("button", name="Install Server").click(timeout=LOAD_TIMEOUT_MS)
        expect(window.status).to_have_attribute("aria-label", re.compile("step 3 of 4"), timeout=LOAD_TIMEOUT_MS)

        for process in psutil.Process(editor.process.pid).children(recursive=True):
            if "--type=extensionHost" in process.cmdline():
                process.kill()  # pip goes on without it, into a folder that nobody will use
        window.page.reload()

        window.page.get_by_role("button", name="Install Server").click(timeout=LOAD_TIMEOUT_MS)
        ready = re.compile("^Green Code: ready")
        expect(window.status).to_have_attribute("aria-label", ready, timeout=INSTALL_TIMEOUT_MS)
        storage = editor.process.settings_file.parent / "globalStorage" / "green-code.green-code"
        assert len([*storage.glob("server-*")]) == 1
        window.open_file("shapes.py")
        window.type_at_end("def rectangle(width, height):", "return ")
        assert window.ghost_text()


def test_a_model_that_needs_pytorch_brings_it_by_a_click(open_editor: OpenEditor, tmp_path: Path) -> None:
    model = other_model(tmp_path)
    settings = {"greenCode.interpreter": "", "greenCode.model": str(model)}
    with open_editor({"shapes.py": CODE}, path=path_without_ours(), **settings) as editor:
        window = editor.window
        window.page.get_by_role("button", name="Install Server").click(timeout=LOAD_TIMEOUT_MS)

        add = window.page.get_by_role("button", name="Add PyTorch", exact=True)
        expect(add).to_be_visible(timeout=INSTALL_TIMEOUT_MS)
        expect(window.status).to_have_attribute("aria-label", re.compile("PyTorch is needed"))
        window.page.screenshot(path=ARTIFACTS / "add-pytorch.png")
        add.click()

        expect(window.status).to_have_attribute("aria-label", re.compile("step 3 of 4"), timeout=LOAD_TIMEOUT_MS)
        ready = re.compile("^Green Code: ready")
        expect(window.status).to_have_attribute("aria-label", ready, timeout=INSTALL_TIMEOUT_MS)
        assert model.name in window.tooltip()


def path_without_ours() -> str:
    """Where programs are looked for, but for our own environment."""
    ours = Path(sys.executable).parent
    return os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != ours)


def other_model(folder: Path) -> Path:
    """One that only transformers can take apart."""
    tiny_model("qwen2", hidden_size=64, max_position_embeddings=64).save_pretrained(folder / "qwen2")
    PreTrainedTokenizerFast(tokenizer_object=LETTERS).save_pretrained(folder / "qwen2")
    return folder / "qwen2"
