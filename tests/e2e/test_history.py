"""What completions have cost, in the view of the history, in a real VS Code and in all its themes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.code_server import wait_until
from tests.e2e.conftest import ARTIFACTS
from tests.e2e.test_vscode import CODE, accepted
from tests.e2e.workbench import ANSWER_TIMEOUT_MS

if TYPE_CHECKING:
    from tests.e2e.conftest import OpenEditor

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.timeout(600)]

THEMES = {
    "light": ("Light 2026", "vs"),
    "dark": ("Dark 2026", "vs-dark"),
    "contrast": ("Default High Contrast", "hc-black"),
    "contrast-light": ("Default High Contrast Light", "hc-light"),
}


def test_the_history_shows_what_was_spent_in_every_theme(open_editor: OpenEditor) -> None:
    with open_editor({"shapes.py": CODE}, **{"greenCode.country": "FRA", "greenCode.skipUnlikely": False}) as editor:
        window = editor.window
        page = window.page
        window.open_file("shapes.py")
        window.wait_until_ready()
        window.type_at_end("def rectangle(width, height):", "return ")
        assert window.ghost_text()
        window.press("Tab")
        wait_until(lambda: accepted(editor), 30.0, "the ledger has the acceptance")
        window.open_slider()

        window.run_command("Green Code: Show History")
        history = window.page_with("Energy of completions")
        expect(history.locator("#summary")).to_contain_text(
            re.compile(r"Spent [\d.]+ [mk]?J"), timeout=ANSWER_TIMEOUT_MS
        )
        expect(history.locator("#summary")).to_contain_text("CO2 equivalents: 56")
        expect(history.get_by_role("img", name=re.compile("^Energy by day: 20"))).to_be_visible()
        expect(history.locator("#rows tr")).to_have_count(1)
        history.locator("#by").select_option("language")
        expect(history.locator("#rows th")).to_have_text("python")

        settings_file = editor.process.settings_file
        settings = json.loads(settings_file.read_text())
        for name, (theme, kind) in THEMES.items():
            settings_file.write_text(json.dumps(settings | {"workbench.colorTheme": theme}))
            expect(page.locator(f".monaco-workbench.{kind}")).to_be_visible(timeout=ANSWER_TIMEOUT_MS)
            expect(window.page_with("This session").get_by_role("slider")).to_be_visible()
            page.screenshot(path=ARTIFACTS / f"views-{name}.png")

        history.get_by_role("button", name="Erase…").click()
        page.get_by_role("button", name="Erase", exact=True).click()
        expect(history.locator("#summary")).to_have_text(
            "Nothing was computed in this time.", timeout=ANSWER_TIMEOUT_MS
        )
