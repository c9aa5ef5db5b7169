import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from lsp_server.replay.output import table, write
from lsp_server.replay.replay import BrokenRule, ReplayRun
from lsp_server.replay.servers import Costs
from lsp_server.replay.summary import summarise

COSTS = Costs(
    cpu_s=10.0, energy_j=20.0, provenance="modelled", wasted_j=5.0,
    computed=4, reused=3, cancelled=1, skipped=2, tokens=40, layers=800.0,
)  # fmt: skip
BROKEN = BrokenRule(rule="trailing blank", before="a = 1\n", answer="x ", after="\n")
RUN = ReplayRun(
    arm="first", file="a.py", seed=0, typed_chars=100, kept_chars=20, keys=90, mending_keys=2, read_chars=50,
    asked=9, shown=5, elapsed_s=30.0, answered_s=[0.1, 0.3], broken_rules=[BROKEN], costs=COSTS,
)  # fmt: skip


def runs() -> list[ReplayRun]:
    """Three files, two persons, two arms: the second keeps as much for a quarter of the work."""
    cheap = replace(COSTS, cpu_s=2.5, energy_j=5.0)
    return [
        replace(RUN, file=file, seed=seed, arm=arm, kept_chars=kept, costs=costs)
        for file, kept in (("a.py", 10), ("b.py", 20), ("c.py", 30))
        for seed in (0, 1)
        for arm, costs in (("first", COSTS), ("now", cheap))
    ]


def test_figures_are_ratios_of_sums() -> None:
    first, now = summarise(runs(), n_resamples=200)

    assert (first.kept_chars, first.typed_chars, first.computed) == (120, 600, 24)
    assert first.acceptance.value == 120 / 300
    assert first.saved_share.value == pytest.approx(0.2)
    assert first.j_per_kept_char.value == pytest.approx(1.0)
    assert first.wasted_share.value == pytest.approx(0.25)
    assert now.cpu_s_per_kept_char.value == pytest.approx(15 / 120)


def test_arms_are_compared_at_the_same_files_and_persons() -> None:
    _, now = summarise(runs(), n_resamples=200)

    assert now.work_ratio.value == pytest.approx(0.25)
    assert now.work_ratio.low == pytest.approx(now.work_ratio.high)  # pairs differ by the same factor everywhere
    assert now.saved_share.low < 0.2 < now.saved_share.high  # but files differ


def test_persons_who_type_alike_do_not_stand_for_more_files() -> None:
    few = runs()
    many = few + [replace(run, seed=run.seed + 2 * n) for run in few for n in range(1, 5)]

    widths = [summary.saved_share.high - summary.saved_share.low for summary in (summarise(few)[0], summarise(many)[0])]

    assert widths[0] == pytest.approx(widths[1], rel=0.1)


def test_unknown_joules_stay_unknown() -> None:
    unknown = [replace(run, costs=replace(run.costs, energy_j=None, wasted_j=None)) for run in runs()]

    summary = summarise(unknown, n_resamples=50)[0]

    assert summary.energy_j is None
    assert math.isnan(summary.j_per_kept_char.value)


def test_the_results_are_a_table_json_and_a_plot(tmp_path: Path) -> None:
    unknown = replace(RUN, arm="peer", costs=replace(COSTS, energy_j=None, wasted_j=None, layers=None))
    summaries = summarise([RUN, unknown], n_resamples=50)
    console = Console(record=True, width=120)

    console.print(table(summaries))
    write(tmp_path / "out", summaries, [RUN, unknown], {"time_scale": 1.0})

    shown = console.export_text()
    assert "20.0 (20.0 to 20.0)" in shown
    assert shown.splitlines()[0].split() == ["first", "peer"]
    numbers = json.loads((tmp_path / "out" / "replay.json").read_text())
    assert [arm["arm"] for arm in numbers["arms"]] == ["first", "peer"]
    assert numbers["arms"][1]["j_per_kept_char"]["value"] is None
    assert (tmp_path / "out" / "replay.png").stat().st_size > 1000
