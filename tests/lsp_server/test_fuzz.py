"""A short run of the fuzzer; the long one is `python -m tests.lsp_server.fuzz 1000000`."""

from pathlib import Path

import pytest

from tests.lsp_server.fuzz import fuzz


@pytest.mark.parametrize("seed", [101, 102])
async def test_every_request_is_answered_once_whatever_comes_between(tmp_path: Path, seed: int) -> None:
    assert await fuzz(1_500, seed, tmp_path / "ledger.sqlite3") == []
