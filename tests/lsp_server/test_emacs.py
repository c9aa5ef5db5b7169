"""A real Emacs with the very lines of .github/EDITORS.md, the server as it is installed, and the default model.

It is `emacs` on the PATH, or what GREEN_CODE_EMACS names, and must have lsp-mode 10.
"""

import json
import os
import pty
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.lsp_server.books.rows import rows
from tests.lsp_server.editors import blocks, environment, still_there

pytestmark = [pytest.mark.editor, pytest.mark.model, pytest.mark.timeout(240)]

SETTINGS = """("greenCode.greenMode" 0) ("greenCode.maxNewTokens" 12) ("greenCode.device" "cpu")
  ("greenCode.sharedEngine" nil t)"""
PERSON = '''class Person:
    """😀𐀀 é."""
    def __init__(self, name, age, city, country):
        self.name = name
        "😀𐀀 é"; self.age ='''

# Each step waits for a condition, then acts; `again` is done each second until then.
STEPS = r"""
(defvar told nil)
(defvar ticks 0)
(defun tell (key value) (push (cons key value) told))
(defun keys (text) (setq unread-command-events (listify-key-sequence (kbd text))))
(defun ghost ()
  (when (overlayp lsp-inline-completion--overlay)
    (substring-no-properties (overlay-get lsp-inline-completion--overlay 'after-string))))
(defun text () (buffer-substring-no-properties (point-min) (point-max)))
(defun texts (buffer) (when (get-buffer buffer) (with-current-buffer buffer (text))))
(defun workspace () (lsp-find-workspace 'green-code))
(defun finish (failed)
  (tell 'failed failed)
  (tell 'warnings (texts "*Warnings*"))
  (tell 'messages (texts "*Messages*"))
  (tell 'pids (vconcat (delq nil (mapcar #'process-id (process-list)))))
  (with-temp-file (getenv "TOLD")
    (insert (decode-coding-string (json-serialize told :null-object nil) 'utf-8)))
  (set-buffer-modified-p nil)
  (kill-emacs))

(defvar steps
  `((,(lambda () (and (workspace) (eq 'initialized (lsp--workspace-status (workspace)))))
     ,(lambda () (keys "M-g g 5 RET C-e M-\\")))
    (ghost ,(lambda () (tell 'first (ghost)) (keys "TAB")) ,(lambda () (keys "M-\\")))
    (,(lambda () (string-search " = age" (texts "a.py"))) ignore)
    (ghost ,(lambda () (tell 'second (ghost)) (keys "TAB")))
    (,(lambda () (string-search "city = city" (texts "a.py")))
     ,(lambda ()
        (tell 'text (text))
        (tell 'point (point))
        (tell 'encoding (lsp:server-capabilities-position-encoding? (lsp--workspace-server-capabilities (workspace))))
        (finish nil)))))

(defun tick ()
  (when (get-buffer "a.py")
    (with-current-buffer "a.py"
      (condition-case failed
          (pcase-let ((`(,is-so ,act ,again) (car steps)))
            (setq ticks (1+ ticks))
            (cond ((funcall is-so) (pop steps) (setq ticks 0) (funcall act))
                  ((> ticks 600) (error "Waited in vain with %d steps to go" (length steps)))
                  ((and again (zerop (% ticks 10))) (funcall again))))
        (error (finish (error-message-string failed)))))))
(run-with-timer 0.1 0.1 #'tick)
"""


def emacs_10() -> tuple[str, str]:
    """The editor, and why it is not there."""
    named = os.environ.get("GREEN_CODE_EMACS") or shutil.which("emacs")
    if named is None:
        return "", "no emacs is on the PATH, and GREEN_CODE_EMACS names none"
    look = "(progn (require 'package) (package-initialize) (require 'lsp-inline-completion))"
    found = subprocess.run([named, "--batch", "--eval", look], capture_output=True, check=False)
    return (named, "") if found.returncode == 0 else ("", f"{named} has no lsp-mode with inline completion")


@pytest.fixture(scope="module")
def emacs(default_model_path: Path) -> str:
    assert default_model_path.exists()
    path, why_not = emacs_10()
    if why_not:
        pytest.skip(why_not)
    return path


@contextmanager
def terminal() -> Iterator[int]:
    """One that takes what is written to it, and shows it to nobody."""
    ours, theirs = pty.openpty()

    def drain() -> None:
        with suppress(OSError):  # closed
            while os.read(ours, 1 << 16):
                pass

    reader = threading.Thread(target=drain)
    reader.start()
    try:
        yield theirs
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)


def run(emacs: str, folder: Path, init: str) -> dict[str, Any]:
    """What the steps told."""
    project, config, told = folder / "project", folder / "emacs.d", folder / "told.json"
    project.mkdir()
    config.mkdir()
    (project / "a.py").write_text(PERSON + "\n", encoding="utf-8")
    start = f"""(setq lsp-enabled-clients '(green-code))
      (lsp-workspace-folders-add "{project}")
      (add-hook 'python-mode-hook #'lsp)"""
    (config / "init.el").write_text(f"{init}\n{start}\n{STEPS}", encoding="utf-8")
    with terminal() as screen:
        subprocess.run(
            ["setsid", "--ctty", "--wait", emacs, "-nw", f"--init-directory={config}", "a.py"],
            env=environment(folder, TOLD=str(told), TERM="xterm", LC_ALL="C.UTF-8"),
            cwd=project,
            stdin=screen,
            stdout=screen,
            stderr=screen,
            timeout=100,
            check=True,
        )
    answer: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
    assert (answer["failed"], answer["warnings"]) == (None, None)
    assert not still_there(answer["pids"])
    return answer


@pytest.mark.parametrize("encoding", ["", "utf-8", "utf-16"])
def test_emacs_takes_a_suggestion_and_the_next_lines_behind_it(tmp_path: Path, emacs: str, encoding: str) -> None:
    init = blocks("Emacs (lsp-mode)", "elisp")[0].replace('("greenCode.greenMode" 20)', SETTINGS)
    only = f"""(define-advice lsp--client-capabilities (:filter-return (all) only)
      (cons '(general . ((positionEncodings . ["{encoding}"]))) (assq-delete-all 'general all)))"""

    told = run(emacs, tmp_path, f"{init}\n{only if encoding else ''}")

    assert told["encoding"] == (encoding or "utf-32")
    assert (told["first"], told["second"]) == (" age", "\n        self.city = city")
    assert told["text"] == f"{PERSON} age\n        self.city = city\n"
    assert told["point"] == len(told["text"])
    assert "rror" not in told["messages"]
    accepted = [row for row in rows(tmp_path / "data" / "green-code" / "ledger.sqlite3") if row["accepted_at"]]
    assert sorted(row["accepted_chars"] for row in accepted) == [len(told["first"]), len(told["second"])]
