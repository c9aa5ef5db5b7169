"""What completions have cost, in the view of the history, in a real VS Code and in all its themes."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.code_server import wait_until
from tests.e2e.conftest import ARTIFACTS
from tests.e2e.test_vscode import CODE, accepted, ledger
from tests.e2e.workbench import ANSWER_TIMEOUT_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import FloatRect, Locator

    from tests.e2e.conftest import OpenEditor
    from tests.e2e.workbench import Workbench

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.timeout(600)]

TYPED: FloatRect = {"x": 376, "y": 91, "width": 406, "height": 178}  # the lines, and what is grey behind them

THEMES = {
    "light": ("Light 2026", "vs"),
    "dark": ("Dark 2026", "vs-dark"),
    "contrast": ("Dark High Contrast", "hc-black"),
    "contrast-light": ("Light High Contrast", "hc-light"),
}


def test_the_history_shows_what_was_spent_in_every_theme(open_editor: OpenEditor) -> None:
    with open_editor({"shapes.py": CODE}, **{"greenCode.country": "FRA", "greenCode.skipUnlikely": False}) as editor:
        window = editor.window
        page = window.page
        window.open_file("shapes.py")
        window.wait_until_ready()
        window.type_at_end("def rectangle(width, height):", "return ")
        for name in every_theme(window):
            window.press("Alt+\\")
            assert window.ghost_text()
            page.screenshot(path=ARTIFACTS / f"type-{name}.png", clip=TYPED)
        window.press("Control+ArrowRight")
        wait_until(lambda: accepted(editor), 30.0, "the ledger has the word that was taken")
        (taken,) = accepted(editor)
        assert 0 < taken["accepted_chars"] < taken["offered_chars"]
        assert window.ghost_text()
        window.press("Tab")
        kept = [taken["offered_chars"]]
        wait_until(lambda: [row["accepted_chars"] for row in accepted(editor)] == kept, 30.0, "the ledger has the rest")
        window.open_slider()

        window.run_command("Green Code: Show History")
        history = window.page_with("Energy of completions")
        expect(history.locator("#summary")).to_contain_text(
            re.compile(r"Spent [\d.]+ [mk]?J"), timeout=ANSWER_TIMEOUT_MS
        )
        expect(history.locator("#summary")).to_contain_text("CO2 equivalents: 56")
        expect(history.get_by_role("img", name=re.compile("^Energy by day: 20"))).to_be_visible()
        expect(history.locator("#rows tr")).to_have_count(1)
        for control in window.controls(history):
            expect(control).to_have_accessible_name(re.compile(r"\S"))
        history.locator("#by").select_option("language")
        expect(history.locator("#rows th")).to_have_text("python")
        for format_ in ("csv", "json"):
            history.get_by_role("button", name=f"Export {format_.upper()}").click()
            expect(window.field).to_have_value(
                re.compile(rf"green-code-by-language\.{format_}$"), timeout=ANSWER_TIMEOUT_MS
            )
            window.press("Enter")
        exports = [editor.workspace / f"green-code-by-language.{format_}" for format_ in ("csv", "json")]
        wait_until(
            lambda: all(export.is_file() and export.stat().st_size for export in exports), 30.0, "both are saved"
        )
        (row,) = csv.DictReader(exports[0].read_text().splitlines())
        (period,) = json.loads(exports[1].read_text())["periods"]
        assert (row["key"], float(row["energyJ"])) == ("python", period["energyJ"])

        window.run_command("Notifications: Clear All Notifications")
        page.set_viewport_size({"width": 1280, "height": 800})  # the views in full
        drawn, computed = set(), ledger(editor, "SELECT id FROM completion")
        for name in every_theme(window):
            shoot_views(window, name)
            drawn.add(history.locator("canvas").evaluate("canvas => canvas.toDataURL()"))
        assert len(drawn) == len(THEMES)
        assert ledger(editor, "SELECT id FROM completion") == computed  # a theme costs nothing
        page.set_viewport_size({"width": 640, "height": 760})
        chart, region = history.locator("canvas"), history.get_by_role("region", name="Figures")
        region.scroll_into_view_if_needed()
        wait_until(lambda: boxed(chart)["width"] <= boxed(region)["width"], 10.0, "the chart is as narrow as the view")
        page.screenshot(path=ARTIFACTS / "history-narrow.png")

        history.get_by_role("button", name="Erase…").click()
        page.get_by_role("button", name="Erase", exact=True).click()
        expect(history.locator("#summary")).to_have_text(
            "Nothing was computed in this time.", timeout=ANSWER_TIMEOUT_MS
        )


def shoot_views(window: Workbench, theme: str) -> None:
    """Takes the pictures of both pages that the walkthrough shows."""
    expect(window.page_with("This session").get_by_role("slider")).to_be_visible()
    for view, heading in (("slider", "This session"), ("history", "Energy of completions")):
        window.page_with(heading).owner.screenshot(path=ARTIFACTS / f"{view}-{theme}.png")


def boxed(locator: Locator) -> FloatRect:
    """Where it is in the window."""
    box = locator.bounding_box()
    assert box is not None
    return box


def every_theme(window: Workbench) -> Iterator[str]:
    """Shows the window in one theme after the other, and says which."""
    for name, (theme, kind) in THEMES.items():
        window.run_command("Preferences: Color Theme")
        window.narrow(theme)
        window.pick(theme)
        expect(window.page.locator(f".monaco-workbench.{kind}")).to_be_visible(timeout=ANSWER_TIMEOUT_MS)
        yield name
