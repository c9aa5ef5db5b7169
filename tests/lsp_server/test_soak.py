"""A few minutes of typing leave nothing behind; hours of it are `python -m tests.lsp_server.soak`."""

from pathlib import Path

from tests.lsp_server.soak import grown_bytes


async def test_a_key_leaves_nothing_behind(tmp_path: Path) -> None:
    assert await grown_bytes(300, tmp_path / "ledger.sqlite3") < 200
