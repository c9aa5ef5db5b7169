"""The pages that commands write, in a narrow window: what does not fit scrolls, by keys as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from engine.evaluation.pages import ReportTable, chart, html_page, report_body

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure
    from playwright.sync_api import Browser

pytestmark = pytest.mark.e2e

NARROW = 400
LEAST_LETTERS_PX = 8


def draw(figure: Figure) -> None:
    figure.subplots().set(xlabel="prompt tokens", ylabel="joules")


def test_a_narrow_window_shows_words_that_can_be_read_and_scrolls_what_is_wider(
    browser: Browser, tmp_path: Path
) -> None:
    head = [f"a column of figures, number {n}" for n in range(9)]
    table = ReportTable(title="All figures", head=head, rows=[["1,000 J"] * 9])
    body = report_body(["`green-code evaluate` tells."], [chart(draw, told="Joules by tokens")], [table])
    file = tmp_path / "page.html"
    file.write_text(html_page("Energy", body), encoding="utf-8")
    page = browser.new_page(viewport={"width": NARROW, "height": 700})
    page.goto(file.as_uri())

    assert page.evaluate("document.documentElement.scrollWidth") == NARROW
    letters = page.locator("svg text", has_text="joules").bounding_box()
    assert letters is not None
    assert min(letters["width"], letters["height"]) >= LEAST_LETTERS_PX
    expect(page.get_by_role("img", name="Joules by tokens")).to_be_visible()
    expect(page.locator("code")).to_have_text("green-code evaluate")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("region", name="All figures")).to_be_focused()
    page.close()
