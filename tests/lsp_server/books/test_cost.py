"""A short run of what books requests; the long one is `python -m tests.lsp_server.books.cost`."""

from pathlib import Path
from statistics import median

from tests.lsp_server.books.cost import measure

MOST_MS = 1.0


async def test_a_request_is_booked_within_a_millisecond(tmp_path: Path) -> None:
    taken_ms = await measure(100, tmp_path)

    assert median(map(sum, zip(taken_ms["account"], taken_ms["computed"], strict=True))) < MOST_MS
    assert median(taken_ms["accepted"]) < MOST_MS
