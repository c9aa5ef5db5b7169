"""What other programs did, by scripted clocks and by a real one."""

import subprocess
import sys
import time

import pytest

from engine.energy.load import CpuLoad, cpu_load, foreign_share


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


def test_a_reading_takes_less_than_a_hundredth_of_a_short_completion() -> None:
    cpu_load()
    start_s = time.thread_time()
    for _ in range(50):
        cpu_load()
    assert (time.thread_time() - start_s) / 50 < 0.001
