"""What a person reads whose editor speaks German: the extension's sentences, and the server's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import ARTIFACTS
from tests.e2e.workbench import ANSWER_TIMEOUT_MS, LOAD_TIMEOUT_MS

if TYPE_CHECKING:
    from tests.e2e.conftest import OpenEditor

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.timeout(600)]


def test_a_german_editor_is_told_in_german_why_nothing_is_offered(open_editor: OpenEditor) -> None:
    with open_editor({".env": "KEY=1\n"}, language="de") as editor:
        window = editor.window
        window.open_file(".env")
        window.wait_until_ready("bereit")
        window.type_at_end("TOKEN=")

        expect(window.status).to_have_text("Green Code: private Datei", timeout=ANSWER_TIMEOUT_MS)
        tooltip = window.tooltip()
        window.page.screenshot(path=ARTIFACTS / "german.png")

        window.run_command("Green Code: Diagnose")
        report = window.page.locator(".editor-instance .view-lines", has_text="Green Code: Diagnose")
        expect(report).to_be_visible(timeout=LOAD_TIMEOUT_MS)
        window.page.screenshot(path=ARTIFACTS / "german-doctor.png")
        doctor = report.inner_text().replace("\xa0", " ")

    assert ".env bleibt privat: .env ist ein üblicher Name von Geheimnissen." in tooltip
    assert "smollm2-135m auf CPU" in tooltip
    assert "Energie " in tooltip
    assert "Nichts steht im Weg." in doctor
    assert "30 Schichten, Ausstiege nach 3, 6," in doctor
    assert "möglich ist 0,3 bis 2,5 mal so" in doctor
