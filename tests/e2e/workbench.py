"""`Workbench`: VS Code's window as a person uses it. Keys, clicks and what can be read; no expectation of its own."""

from __future__ import annotations

import re

from playwright.sync_api import Error, FrameLocator, Locator, Page, expect

LOAD_TIMEOUT_MS = 90_000  # the workbench, the extension host, the server and its model, on two busy cores
ANSWER_TIMEOUT_MS = 60_000
FILL_TIMEOUT_MS = 5_000
POLL_MS = 200


class Workbench:
    """One open window."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.goto(url)
        expect(page.locator(".explorer-folders-view")).to_be_visible(timeout=LOAD_TIMEOUT_MS)

    @property
    def status(self) -> Locator:
        """Our item in the status bar."""
        return self.page.locator(".statusbar-item[id$='greenCode.energy'] a")

    def wait_until_ready(self, word: str = "ready") -> None:
        """Returns once the server says that the model is loaded, by the word that the editor's language has for it."""
        expect(self.status).to_have_attribute("aria-label", re.compile(f"^Green Code: {word}"), timeout=LOAD_TIMEOUT_MS)

    def open_file(self, name: str) -> None:
        """Opens a file of the workspace from the explorer."""
        self.page.locator(".explorer-folders-view .monaco-list-row", has_text=name).dblclick()
        expect(self.page.locator(".editor-instance .view-lines")).to_be_visible(timeout=LOAD_TIMEOUT_MS)

    def type_at_end(self, *lines: str) -> None:
        """Puts the cursor at the end of the document and types; the editor indents new lines by itself."""
        self.page.locator(".editor-instance .view-lines").click()
        self.page.keyboard.press("Control+End")
        for number, line in enumerate(lines):
            if number:
                self.page.keyboard.press("Enter")
            self.page.keyboard.type(line, delay=20)

    def ghost_text(self) -> str:
        """Waits for grey text after the cursor and reads it."""
        ghost = self.page.locator(".view-lines .ghost-text-decoration:visible")
        expect(ghost).not_to_have_count(0, timeout=ANSWER_TIMEOUT_MS)
        return "".join(ghost.all_text_contents()).replace("\xa0", " ")

    def press(self, key: str) -> None:
        """Presses one key or chord."""
        self.page.keyboard.press(key)

    def tooltip(self) -> str:
        """Hovers over our status bar item and reads what appears."""
        self.page.mouse.move(0, 0)
        self.status.hover()
        hover = self.page.locator(".monaco-hover:visible", has_text="Green Code")
        expect(hover).to_be_visible(timeout=ANSWER_TIMEOUT_MS)
        return hover.inner_text()

    def open_slider(self) -> FrameLocator:
        """Opens our view behind the activity bar and returns its page."""
        self.page.locator(".activitybar .action-label[aria-label^='Green Code']").click()
        frame = self.page.frame_locator("iframe.webview.ready").frame_locator("iframe#active-frame")
        expect(frame.get_by_role("slider")).to_be_visible(timeout=ANSWER_TIMEOUT_MS)
        return frame

    def controls(self, page: FrameLocator) -> list[Locator]:
        """What can be clicked or typed into on a page of ours."""
        return page.locator("button:visible, input:visible, select:visible, summary:visible, a:visible").all()

    def page_with(self, heading: str) -> FrameLocator:
        """The page of ours that has this heading."""
        for frame in self.page.locator("iframe.webview.ready").all():
            inner = frame.content_frame.frame_locator("iframe#active-frame")
            if inner.get_by_role("heading", name=heading).is_visible():
                return inner
        self.page.wait_for_timeout(POLL_MS)
        return self.page_with(heading)

    def run_command(self, title: str) -> None:
        """Runs a command from the palette.

        Who had the focus before another list may take it back late, which closes the palette; then it opens once more.
        """
        self.page.keyboard.press("F1")
        try:
            self.narrow(title, at=">")
        except Error:
            self.page.keyboard.press("F1")
            self.narrow(title, at=">")
        self.page.locator(".quick-input-list .monaco-list-row", has_text=title).first.click()

    @property
    def field(self) -> Locator:
        """Where one types above the list that is open."""
        return self.page.locator(".quick-input-widget:visible input")

    def narrow(self, text: str, at: str = "") -> None:
        """Narrows the list that opens: keys struck before its field says `at` would go elsewhere."""
        expect(self.field).to_have_value(at, timeout=ANSWER_TIMEOUT_MS)
        self.field.fill(at + text, timeout=FILL_TIMEOUT_MS)

    def choose(self, label: str) -> None:
        """Clicks our status bar item and chooses from the menu."""
        self.status.click()
        self.pick(label)

    def pick(self, label: str) -> None:
        """Chooses from the list that is open."""
        name = self.page.locator(".label-name", has_text=re.compile(rf"{re.escape(label)}\s*$"))
        row = self.page.locator(".quick-input-list .monaco-list-row", has=name).first
        expect(row).to_be_visible(timeout=ANSWER_TIMEOUT_MS)
        row.click()

    def notifications(self) -> list[str]:
        """The texts of the notifications on screen."""
        return self.page.locator(".notification-toast-container:visible").all_inner_texts()
