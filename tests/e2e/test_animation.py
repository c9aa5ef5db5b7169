"""The pictures of both READMEs: a minute of a person's work in a real VS Code, with the real default model."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from engine.config import DEFAULT_MODEL
from tests.e2e.conftest import ARTIFACTS
from tests.e2e.test_history import THEMES
from tests.e2e.test_vscode import CODE, move_slider
from tests.e2e.workbench import ANSWER_TIMEOUT_MS

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page, ViewportSize

    from tests.e2e.conftest import OpenEditor

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.timeout(600)]

SIZE: ViewportSize = {"width": 920, "height": 560}
COLOURS = 96
MOST_BYTES = 500_000
LETTERS = 5  # typed between two pictures


class Film:
    """Pictures of a page, and how long each is shown."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._pictures: list[Image.Image] = []
        self._shown_ms: list[int] = []

    def take(self, shown_ms: int) -> None:
        """Takes a picture."""
        self._pictures.append(Image.open(io.BytesIO(self._page.screenshot(caret="initial"))).convert("RGB"))
        self._shown_ms.append(shown_ms)

    def type(self, text: str) -> None:
        """Types a text, with pictures on the way."""
        for start in range(0, len(text), LETTERS):
            self._page.keyboard.type(text[start : start + LETTERS], delay=20)
            self.take(150)

    def save(self, path: Path) -> None:
        """Writes a GIF, in one palette for all, so that only what changes is stored again."""
        width, height = self._pictures[0].size
        all_of_them = Image.new("RGB", (width, height * len(self._pictures)))
        for place, picture in enumerate(self._pictures):
            all_of_them.paste(picture, (0, place * height))
        palette = all_of_them.quantize(COLOURS, dither=Image.Dither.NONE)
        first, *others = (picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in self._pictures)
        first.save(path, save_all=True, append_images=others, duration=self._shown_ms, loop=0, optimize=True)


def test_a_film_of_typing_taking_and_sliding(open_editor: OpenEditor) -> None:
    theme, kind = THEMES["dark"]
    settings = {"workbench.colorTheme": theme, "greenCode.model": DEFAULT_MODEL, "greenCode.skipUnlikely": False}
    with open_editor({"shapes.py": CODE}, **settings) as editor:
        window = editor.window
        page = window.page
        page.set_viewport_size(SIZE)
        window.open_file("shapes.py")
        window.wait_until_ready()
        expect(page.locator(f".monaco-workbench.{kind}")).to_be_visible()
        window.press("Control+b")  # the files go out of the picture
        window.type_at_end()
        film = Film(page)
        film.take(900)
        film.type("def rectangle(width, height):")
        window.press("Enter")
        film.type("return ")
        assert window.ghost_text()
        film.take(1600)
        window.press("Control+ArrowRight")
        assert window.ghost_text()
        film.take(1000)
        window.press("Tab")
        film.take(1000)
        window.tooltip()
        film.take(3000)
        page.mouse.move(0, 0)
        view = window.open_slider()
        expect(view.get_by_role("slider")).to_be_visible(timeout=ANSWER_TIMEOUT_MS)
        film.take(1600)
        for key, green_mode in (("Home", 0), ("End", 100)):
            move_slider(editor, view, partial(Locator.press, key=key), green_mode=green_mode)
            film.take(1400)

    ARTIFACTS.mkdir(exist_ok=True)
    film.save(ARTIFACTS / "animation.gif")
    assert (ARTIFACTS / "animation.gif").stat().st_size < MOST_BYTES


def test_the_picture_of_the_readme(open_editor: OpenEditor) -> None:
    """What somebody sees who has kept a suggestion and is offered the next, at the usual green mode."""
    with open_editor({"shapes.py": CODE}, **{"greenCode.model": DEFAULT_MODEL}) as editor:
        window = editor.window
        window.open_file("shapes.py")
        window.wait_until_ready()
        window.open_slider()
        window.type_at_end("def rectangle(width, height):", "return ")
        assert window.ghost_text()
        window.press("Tab")
        for key in ("Enter", "Shift+Tab", "Enter", "Enter"):  # to the beginning of a line, two below
            window.press(key)
        window.type_at_end("def volume(width, height, depth):", "return ")
        assert window.ghost_text()
        window.tooltip()
        window.page.screenshot(path=ARTIFACTS / "screenshot.png")
