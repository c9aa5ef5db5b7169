"""A developer's minutes with Green Code, in a real VS Code with the real default model."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from playwright.sync_api import Browser, FrameLocator, Locator, expect

from tests.e2e.code_server import wait_until
from tests.e2e.conftest import ARTIFACTS
from tests.e2e.workbench import ANSWER_TIMEOUT_MS, LOAD_TIMEOUT_MS, Workbench

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Editor, OpenEditor

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.timeout(600)]

CODE = '"""Areas of shapes."""\n\n\ndef square(side):\n    return side * side\n\n\n'
HOSTILE = "raise SystemExit('imported from the workspace')"
WAIT_S = 30.0


def test_a_completion_is_shown_accepted_and_accounted_for(open_editor: OpenEditor, tmp_path: Path) -> None:
    with open_editor({"shapes.py": CODE}, **{"greenCode.greenMode": 0}) as editor:
        window = editor.window
        window.open_file("shapes.py")
        window.wait_until_ready()
        window.open_slider()
        window.type_at_end("def rectangle(width, height):", "return ")
        ghost = window.ghost_text()
        window.tooltip()
        window.page.screenshot(path=ARTIFACTS / "session.png")

        # Nothing canned: the command line, another process, says the same with the same model.
        assert ghost == complete(tmp_path / "same.py", CODE + "def rectangle(width, height):\n    return ")

        window.press("Tab")
        window.press("Control+s")
        file, expected = editor.workspace / "shapes.py", CODE + f"def rectangle(width, height):\n    return {ghost}"
        # Not until it has changed: the editor empties a file before it writes it.
        wait_until(lambda: file.read_text() == expected, WAIT_S, "the file is saved with the suggestion in it")

        wait_until(lambda: accepted(editor), WAIT_S, "the ledger has the acceptance")
        (row,) = accepted(editor)

        assert row["model"] == "smollm2-135m"
        assert row["tokens"] > 0
        assert row["accepted_chars"] == len(ghost)

        expect(window.status).to_have_text(re.compile(r"^\s*Green Code [\d.]+ [mk]?J\s*$"), timeout=ANSWER_TIMEOUT_MS)
        kept = re.compile(rf"Kept {len(ghost)} of \d+ characters, [\d.]+ [mk]?J each")  # a moment after it is booked
        wait_until(lambda: kept.search(window.tooltip()), WAIT_S, "the tooltip tells what was kept")
        tooltip = window.tooltip()
        window.page.screenshot(path=ARTIFACTS / "tooltip.png")

        assert re.search(r"Spent [\d.]+ [mk]?J \([\d.]+ [mµ]?Wh\) since .*: a 10 W lamp for", tooltip)
        assert re.search(r"Energy (modelled|measured|sampled): \w+", tooltip)
        assert re.search(r"Saved .* against full depth with KV cache", tooltip)


def test_the_slider_changes_what_a_completion_costs(open_editor: OpenEditor) -> None:
    settings = {"greenCode.greenMode": 50, "greenCode.skipUnlikely": False}
    with open_editor({"shapes.py": CODE}, **settings) as editor:
        window = editor.window
        window.open_file("shapes.py")
        window.wait_until_ready()
        view = window.open_slider()

        for control in window.controls(view):
            expect(control).to_have_accessible_name(re.compile(r"\S"))
        move_slider(editor, view, lambda slider: slider.press("Home"), green_mode=0)
        window.type_at_end("def rectangle(width, height):", "return ")
        lossless = window.ghost_text()
        row_lossless = newest(editor, green_mode=0)
        # Less than 30 where a second question came in time to say again what the first one had computed.
        expect(view.locator("#exit-layer")).to_have_text(re.compile(r"^\d+\.\d of 30 layers$"))
        deepest = ledger(editor, "SELECT max(mean_exit_layer) AS layers FROM completion WHERE green_mode = 0")

        window.press("Tab")
        move_slider(editor, view, lambda slider: slider.click(), green_mode=50)  # in its middle
        move_slider(editor, view, lambda slider: slider.press("End"), green_mode=100)
        window.type_at_end("", "", "", "def triangle(width, height):", "return ")
        greenest = window.ghost_text()
        row_greenest = newest(editor, green_mode=100)
        window.page.screenshot(path=ARTIFACTS / "slider.png")

        assert lossless
        assert greenest
        assert (row_lossless["policy"], deepest[0]["layers"]) == ("full-depth", 30.0)
        assert row_greenest["policy"] == "learned"
        assert row_greenest["policy_j"] > 0.0


def test_two_windows_share_one_model_and_tell_one_day(open_editor: OpenEditor, browser: Browser) -> None:
    with open_editor({"shapes.py": CODE, "solids.py": CODE}) as editor:
        editor.window.open_file("shapes.py")
        editor.window.wait_until_ready()
        editor.window.type_at_end("def rectangle(width, height):", "return ")
        assert editor.window.ghost_text()

        second = Workbench(browser.new_page(viewport={"width": 1280, "height": 760}), editor.process.url)
        second.open_file("solids.py")
        second.wait_until_ready()
        second.type_at_end("def rectangle(width, height):", "return ")
        assert second.ghost_text()

        assert re.search(r"Today [\d.]+ [mk]?J in 2 sessions, all windows", second.tooltip())
        second.page.screenshot(path=ARTIFACTS / "second-window.png")
        sessions = ledger(editor, "SELECT session_id, MAX(engine) AS engine FROM completion GROUP BY session_id")
        assert len(sessions) == 2
        assert len({row["engine"] for row in sessions} - {""}) == 1
        second.page.close()


def test_a_workspace_with_modules_of_the_same_name_is_never_imported(open_editor: OpenEditor) -> None:
    files = {"engine/__init__.py": HOSTILE, "torch.py": HOSTILE, "lsp_server.py": HOSTILE, "shapes.py": CODE}
    with open_editor(files) as editor:
        window = editor.window
        window.open_file("shapes.py")
        window.wait_until_ready()
        window.type_at_end("def rectangle(width, height):", "return ")

        assert window.ghost_text()
        assert window.notifications() == []


def test_a_crash_of_the_server_is_one_sentence_completions_go_on_and_so_does_the_day(open_editor: OpenEditor) -> None:
    with open_editor({"shapes.py": CODE, "long.txt": "A line of a long text.\n" * 40_000}) as editor:
        window = editor.window
        window.open_file("shapes.py")
        window.wait_until_ready()
        window.type_at_end("def rectangle(width, height):", "return ")
        assert window.ghost_text()
        window.press("Tab")  # a line that ends behind `return` would be what the file says of the next one

        server = server_process(editor)
        server.suspend()
        window.open_file("long.txt")  # too long for a pipe that nobody reads: it breaks while it is written to
        window.run_command("Green Code: Show Log")  # by then the extension has been told of the file
        expect(window.page.locator(".part.panel")).to_be_visible(timeout=ANSWER_TIMEOUT_MS)
        server.kill()

        crashed = re.compile("The server stopped unexpectedly and was started again")
        expect(window.status).to_have_attribute("aria-label", crashed, timeout=ANSWER_TIMEOUT_MS)
        window.wait_until_ready()
        window.press("Control+j")
        window.open_file("shapes.py")
        assert re.search(r"Today [\d.]+ [mk]?J in 1 session, all windows", window.tooltip())
        window.type_at_end("", "", "def triangle(width, height):", "return ")
        assert window.ghost_text()
        assert re.search(r"Today [\d.]+ [mk]?J in 2 sessions, all windows", window.tooltip())
        window.page.screenshot(path=ARTIFACTS / "today.png")
        assert window.notifications() == []


def test_a_server_that_cannot_start_is_one_sentence_and_one_notification(open_editor: OpenEditor) -> None:
    with open_editor({"shapes.py": CODE}, **{"greenCode.interpreter": "/nowhere/python"}) as editor:
        window = editor.window

        could_not = re.compile("The server could not be started; the log says why")
        expect(window.status).to_have_attribute("aria-label", could_not, timeout=LOAD_TIMEOUT_MS)
        for _ in range(2):
            window.run_command("Green Code: Restart Server")
            expect(window.status).to_have_attribute("aria-label", could_not, timeout=ANSWER_TIMEOUT_MS)

        (notification,) = window.notifications()
        assert "The server could not be started" in notification


def complete(file: Path, text: str) -> str:
    """What the command line offers at the end of a text, lossless."""
    file.write_text(text)
    lines = text.split("\n")
    place = f"{file}:{len(lines)}:{len(lines[-1]) + 1}"
    command = [sys.executable, "-I", "-m", "lsp_server", "complete", place, "--device=cpu", "--green-mode=0", "--json"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return str(json.loads(answer.stdout)["text"])


def move_slider(editor: Editor, view: FrameLocator, move: Callable[[Locator], None], *, green_mode: int) -> None:
    """Moves the slider until the setting is written and the server says that it decodes with it."""
    move(view.get_by_role("slider"))
    expect(view.locator("#value")).to_have_text(str(green_mode))
    in_use = re.compile(rf"Green mode in use\s*{green_mode}(?!\d)")
    expect(view.locator("#details")).to_have_text(in_use, use_inner_text=False, timeout=ANSWER_TIMEOUT_MS)
    wait_until(
        lambda: f'"greenCode.greenMode": {green_mode}' in editor.process.settings_file.read_text(),
        WAIT_S,
        "the slider writes the setting",
    )


def newest(editor: Editor, *, green_mode: int) -> dict[str, Any]:
    """The newest completion with text under a green mode."""
    query = (
        "SELECT * FROM completion WHERE green_mode = ? AND offered_chars > 0 "
        "AND finish_reason != 'cancelled' ORDER BY created_at DESC LIMIT 1"
    )
    wait_until(lambda: ledger(editor, query, green_mode), WAIT_S, f"the ledger has a row of green mode {green_mode}")
    return ledger(editor, query, green_mode)[0]


def accepted(editor: Editor) -> list[dict[str, Any]]:
    """The rows of accepted completions."""
    return ledger(editor, "SELECT * FROM completion WHERE accepted_at IS NOT NULL")


def ledger(editor: Editor, query: str, *parameters: object) -> list[dict[str, Any]]:
    """Asks the ledger that the server writes."""
    file = editor.process.data_home / "green-code" / "ledger.sqlite3"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(query, parameters)]


def server_process(editor: Editor) -> psutil.Process:
    """The language server that the extension runs."""
    (server,) = [
        process
        for process in psutil.Process(editor.process.pid).children(recursive=True)
        if "lsp_server" in process.cmdline()
    ]
    return server
