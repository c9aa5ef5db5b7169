from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.energy.meter import EnergyWindow
from engine.energy.rapl import open_rapl_meter
from engine.errors import CounterResetError, MeterError
from engine.types import Provenance
from tests.engine.energy.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

RANGE_UJ = 262_143_328_850  # as on real machines
NOBODY = 65534


def add_zone(root: Path, zone: str, name: str, energy_uj: int) -> Path:
    """Lays out one powercap zone as Linux does, and gives its counter file."""
    folder = root / zone
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    counter = folder / "energy_uj"
    counter.write_text(f"{energy_uj}\n")
    return counter


def test_package_counter_is_read_in_joules(tmp_path: Path) -> None:
    counter = add_zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    meter = open_rapl_meter(tmp_path)
    start_j = meter.read_j()

    counter.write_text("3500000\n")

    assert meter.read_j() - start_j == pytest.approx(2.5)
    assert (meter.provenance, meter.name) == (Provenance.MEASURED, "RAPL counter, package-0")


def test_wrap_around_loses_nothing(tmp_path: Path) -> None:
    counter = add_zone(tmp_path, "intel-rapl:0", "package-0", RANGE_UJ - 1_000_000)
    meter = open_rapl_meter(tmp_path)
    start_j = meter.read_j()

    counter.write_text("2000000")

    assert meter.read_j() - start_j == pytest.approx(3.0)


def test_each_socket_wraps_on_its_own(tmp_path: Path) -> None:
    first = add_zone(tmp_path, "intel-rapl:0", "package-0", RANGE_UJ - 500_000)
    second = add_zone(tmp_path, "intel-rapl:1", "package-1", 7_000_000)
    meter = open_rapl_meter(tmp_path)

    first.write_text("500000")
    second.write_text("9000000")

    assert meter.read_j() == pytest.approx(1.0 + 2.0)


@pytest.mark.parametrize(
    ("before_uj", "after_uj"),
    [
        pytest.param(5_000_000_000, 0, id="driver loaded again"),
        pytest.param(5_000_000_000, 4_999_999_000, id="falls a little"),
        pytest.param(RANGE_UJ // 2, 3_000_000, id="in the middle of its range"),
        pytest.param(1_000, RANGE_UJ - 5, id="another machine's value"),
        pytest.param(RANGE_UJ - 5, RANGE_UJ + 900_000_000, id="beyond its range"),
    ],
)
def test_counter_that_begins_anew_is_no_turn(tmp_path: Path, before_uj: int, after_uj: int) -> None:
    counter, clock = add_zone(tmp_path, "intel-rapl:0", "package-0", before_uj), FakeClock()
    meter = open_rapl_meter(tmp_path, clock=clock)
    clock.wait(0.5)
    counter.write_text(f"{after_uj}")

    with pytest.raises(CounterResetError, match=r"^The CPU's energy counter began anew for package-0\.$"):
        meter.read_j()

    start_j = meter.read_j()
    clock.wait(0.5)
    counter.write_text(f"{after_uj + 15_000_000}")
    assert meter.read_j() - start_j == pytest.approx(15.0)


def test_all_domains_that_begin_anew_are_told_at_once(tmp_path: Path) -> None:
    package = add_zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000_000)
    memory = add_zone(tmp_path, "intel-rapl:0:1", "dram", 700_000_000)
    clock = FakeClock()
    meter = open_rapl_meter(tmp_path, clock=clock)
    package.write_text("0")
    memory.write_text("0")

    with EnergyWindow(meter, clock=clock) as window:
        clock.wait(1.0)
        package.write_text("1000000")

    assert window.energy_j == pytest.approx(1.0)


def test_wrap_during_a_long_pause_is_one_turn(tmp_path: Path) -> None:
    counter, clock = add_zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000), FakeClock()
    meter = open_rapl_meter(tmp_path, clock=clock)
    clock.wait(3600.0)  # at 72 W

    counter.write_text("500000")

    assert meter.read_j() == pytest.approx((RANGE_UJ - 500_000) / 1e6)


def test_parts_and_repetitions_of_a_package_are_not_counted_twice(tmp_path: Path) -> None:
    for zone, name in [
        ("intel-rapl:0", "package-0"),
        ("intel-rapl:0:0", "core"),
        ("intel-rapl:0:1", "uncore"),
        ("intel-rapl:0:2", "dram"),
        ("intel-rapl:1", "psys"),
        ("intel-rapl-mmio:0", "package-0"),
    ]:
        add_zone(tmp_path, zone, name, 0)
    meter = open_rapl_meter(tmp_path)

    for counter in tmp_path.glob("*/energy_uj"):
        counter.write_text("1000000")

    assert meter.read_j() == pytest.approx(2.0)
    assert meter.name == "RAPL counter, package-0 and package-0/dram"


def test_missing_counters_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        MeterError, match=r"^This machine shows no energy counter of its CPU: .* has no intel-rapl folder\.$"
    ):
        open_rapl_meter(tmp_path)


def test_platform_counter_alone_is_refused(tmp_path: Path) -> None:
    add_zone(tmp_path, "intel-rapl:0", "psys", 0)

    with pytest.raises(MeterError, match="have no CPU package among them"):
        open_rapl_meter(tmp_path)


def test_counter_for_root_only_says_how_to_allow_reading() -> None:
    with tempfile.TemporaryDirectory() as folder:  # not tmp_path, whose parents are closed to other users
        root = Path(folder)
        root.chmod(0o755)
        counter = add_zone(root, "intel-rapl:0", "package-0", 0)
        counter.chmod(0o400 if os.geteuid() == 0 else 0o000)

        with as_ordinary_user(), pytest.raises(MeterError) as refusal:
            open_rapl_meter(root)

    assert str(refusal.value) == (
        f"The CPU's energy counter {counter} may only be read by root; to allow it until the next start of the "
        f"machine, run: sudo chmod a+r {root}/intel-rapl:*/energy_uj (every program may then watch the CPU's power, "
        "from which secrets of others can be guessed: CVE-2020-8694)"
    )


def test_counter_that_holds_no_number_is_refused(tmp_path: Path) -> None:
    add_zone(tmp_path, "intel-rapl:0", "package-0", 0).write_text("garbage")

    with pytest.raises(MeterError, match="holds 'garbage' instead of a number"):
        open_rapl_meter(tmp_path)


def test_counter_that_vanishes_later_is_an_error_and_not_a_sum_without_it(tmp_path: Path) -> None:
    counter = add_zone(tmp_path, "intel-rapl:0", "package-0", 0)
    meter = open_rapl_meter(tmp_path)

    counter.unlink()

    with pytest.raises(MeterError, match="cannot be read: No such file or directory"):
        meter.read_j()


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Gives up root for a while, since root reads whatever it likes."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
