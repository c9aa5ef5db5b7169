"""A few minutes of typing leave nothing behind; hours of it are `tests.lsp_server.soak` and `hours` beside it."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

from lsp_server.replay import windows
from tests.lsp_server.hours import Held, Sample, growth_mb_an_hour, type_for
from tests.lsp_server.soak import grown_bytes

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_key_leaves_nothing_behind(tmp_path: Path) -> None:
    assert await grown_bytes(300, tmp_path / "ledger.sqlite3") < 200


async def test_hours_of_typing_tell_of_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "THIS_BUILD", (sys.executable, "-m", "tests.lsp_server.fake_server"))
    file = io.StringIO()

    samples = await type_for(0.3, file, every_s=0.1, model="fake")

    assert len(samples) == len(file.getvalue().splitlines()) >= 1
    assert list(json.loads(file.getvalue().splitlines()[0])["held"]) == ["window 1", "window 2", "engine"]
    assert all(held.resident_mb > 1 and held.files > 3 for held in samples[-1].held.values())


def test_growth_is_told_once_it_is_warm() -> None:
    filling = [Sample(minutes=n, asked=n, shown=0, held={"engine": held(50 + 10 * n)}) for n in range(10)]
    filled = [Sample(minutes=n, asked=n, shown=0, held={"engine": held(150 + n)}) for n in range(10, 40)]

    assert growth_mb_an_hour(filling + filled, "engine") == pytest.approx(60)


def held(resident_mb: float) -> Held:
    return Held(resident_mb=resident_mb, own_mb=resident_mb, files=9, threads=5)
