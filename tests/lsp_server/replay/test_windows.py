"""Windows that are opened and typed into, around a fake, and the lines of their table."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import pytest

from lsp_server.replay import windows
from lsp_server.replay.windows import SocketCosts, WindowsTaken, open_windows, real_files, type_at_once
from lsp_server.replay.windows_report import percentile, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lsp_server.replay.replay import Stretch

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def files() -> Iterator[list[Stretch]]:
    with real_files(2, 40) as files:
        yield files


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "THIS_BUILD", (sys.executable, "-m", "tests.lsp_server.fake_server"))


@pytest.mark.usefixtures("fake")
async def test_a_shared_engine_is_counted_once_and_leaves(files: list[Stretch]) -> None:
    taken = await open_windows("shared", files, "fake", idle_s=0.01)

    assert (taken.sharing, len(taken.first_s)) == ("shared", 2)
    assert taken.resident_mb > 0


@pytest.mark.usefixtures("fake")
async def test_people_type_at_once(files: list[Stretch]) -> None:
    runs = await type_at_once(files, "fake", seed=1)

    assert [run.typed_chars for run in runs] == [len(file.text) for file in files]


def taken(sharing: windows.Sharing, mb: float) -> WindowsTaken:
    return WindowsTaken(sharing=sharing, first_s=(2.0, mb / 100), resident_mb=mb, proportional_mb=None, idle_cpu=0.0)


def test_lines_compare_medians() -> None:
    opened = [taken("alone", mb) for mb in (300, 100, 200)] + [taken("shared", 50)]
    costs = SocketCosts(
        alone_ms=[0.1],
        shared_ms=[0.5, 1.5],
        whole_ms={"alone": [20.0], "shared": [20.0, 21.0]},
        reload_s=0.9,
        join_s=0.01,
    )

    found = {what: figures for what, *figures in rows(opened, costs, [])}

    assert found["resident memory of 2 windows"] == ["200 MB", "50 MB", "0.25"]
    assert found["window 2, from its start to its first answer"] == ["2.00 s", "0.50 s", "0.25"]
    assert found["cores taken while nothing happens"] == ["0.0000", "0.0000", ""]
    assert found["a request to the model, median"] == ["20.00 ms", "20.50 ms", "1.02"]
    assert found["beyond the engine's own time, a request, median"] == ["0.10 ms", "1.00 ms", ""]
    assert found["the same, the slowest of twenty"] == ["0.10 ms", "1.50 ms", ""]


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert [percentile([3.0, 1.0, 2.0], share) for share in (0.0, 0.5, 0.95, 1.0)] == [1.0, 2.0, 3.0, 3.0]
    assert math.isnan(percentile([], 0.5))
