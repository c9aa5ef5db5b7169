"""What other programs did, by scripted clocks and by a real one."""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest

from engine.energy.load import CpuLoad, cpu_load, foreign_share
from engine.energy.meter import EnergyWindow
from engine.energy.rapl import open_rapl_meter
from tests.engine.energy.test_rapl import add_zone

SHORT_COMPLETION_S = 0.1


@pytest.mark.parametrize(
    ("own_s", "all_s", "share"),
    [
        (1.0, 1.0, 0.0),
        (1.0, 4.0, 0.75),
        (1.0, 0.98, 0.0),  # the system's ticks are late
        (0.0, 2.0, 1.0),
        (0.01, 0.03, None),
        (0.3, 0.0, 0.0),
    ],
)
def test_share_of_the_others(own_s: float, all_s: float, share: float | None) -> None:
    found = foreign_share(CpuLoad(own_s=5.0, all_s=900.0), CpuLoad(own_s=5.0 + own_s, all_s=900.0 + all_s))

    assert found == (None if share is None else pytest.approx(share))


def test_another_process_at_work_is_seen() -> None:
    burn = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
    start = cpu_load()

    subprocess.run([sys.executable, "-c", burn], check=True)

    end = cpu_load()
    assert end.all_s - start.all_s > 0.3
    share = foreign_share(start, end)
    assert share is not None
    assert share > 0.8


def test_a_window_takes_less_than_a_hundredth_of_a_short_completion(tmp_path: Path) -> None:
    for package in range(2):
        add_zone(tmp_path, f"intel-rapl:{package}", f"package-{package}", 0)
        add_zone(tmp_path, f"intel-rapl:{package}:0", "dram", 0)
    meter = open_rapl_meter(tmp_path)
    taken_s, taken_cpu_s = [], []
    for _ in range(50):
        begun_s, begun_cpu_s = time.perf_counter(), time.thread_time()
        with EnergyWindow(meter):
            pass
        taken_s.append(time.perf_counter() - begun_s)
        taken_cpu_s.append(time.thread_time() - begun_cpu_s)
    assert max(median(taken_s), median(taken_cpu_s)) < SHORT_COMPLETION_S / 100
