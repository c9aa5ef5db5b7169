"""Intel's cards in a folder that looks like the kernel's, with scripted counters."""

from pathlib import Path

import pytest

from engine.energy.detect import detect_meter
from engine.energy.intelgpu import INTEGRATED_ADDRESS, open_intel_meter, pci_address_of
from engine.energy.meter import EnergyWindow
from engine.errors import CounterResetError, MeterError
from engine.types import Provenance
from tests.engine.energy.fakes import FakeClock
from tests.engine.energy.test_amdgpu import add_gpu
from tests.engine.energy.test_rapl import add_zone

ADDRESS, OTHER = "0000:03:00.0", "0000:43:00.0"
POWER_W = 187.0
TURN_UJ = 2**32 * 1_000_000 >> 14  # of the register behind the counter


class Card:
    """A card at steady power, whose counter is updated in steps; its seconds are the meter's."""

    def __init__(self, root: Path, *counters: str, driver: str = "xe", address: str = ADDRESS, number: int = 1) -> None:
        self.clock, self._begun_uj = FakeClock(now_s=0.0), 5_000_000
        labels = {"energy1": "card", "energy2": "pkg"} if driver == "xe" else {}
        self.folder = add_gpu(root, number, address, driver=driver, **{f"{n}_label": of for n, of in labels.items()})
        self._files = [self.folder / f"{name}_input" for name in counters]
        self.wait(0.0)

    def wait(self, duration_s: float, *, more_uj: int = 0) -> None:
        self.clock.wait(duration_s)
        self._begun_uj += more_uj
        for n, file in enumerate(self._files):
            part = 1.0 - 0.2 * n  # a package draws less than its card
            file.write_text(f"{self._begun_uj + round(1e6 * part * POWER_W * (self.clock.now_s // 0.05 * 0.05))}\n")


def measured(card: Card, root: Path, duration_s: float = 20.0) -> EnergyWindow:
    meter = open_intel_meter(root, clock=card.clock)
    card.wait(0.037)  # the window begins between two updates
    with EnergyWindow(meter, clock=card.clock) as window:
        card.wait(duration_s)
    meter.close()
    return window


@pytest.mark.parametrize(("driver", "counted"), [("i915", "GPU"), ("xe", "card")])
def test_a_window_of_many_refreshes_is_right_to_a_percent(tmp_path: Path, driver: str, counted: str) -> None:
    window = measured(Card(tmp_path, "energy1", driver=driver), tmp_path)

    assert window.energy_j == pytest.approx(20.0 * POWER_W, rel=0.01)
    assert (window.provenance, window.source) == (Provenance.MEASURED, f"{driver} counter, {counted} {ADDRESS}")


def test_the_package_is_in_the_card_and_not_added_to_it(tmp_path: Path) -> None:
    window = measured(Card(tmp_path, "energy1", "energy2"), tmp_path)

    assert window.energy_j == pytest.approx(20.0 * POWER_W, rel=0.01)


@pytest.mark.parametrize("is_shown", [True, False])
def test_where_the_card_does_not_tell_its_package_does(tmp_path: Path, *, is_shown: bool) -> None:
    card = Card(tmp_path, "energy2")
    if is_shown:
        (card.folder / "energy1_input").write_text("0\n")

    window = measured(card, tmp_path)

    assert window.energy_j == pytest.approx(20.0 * POWER_W, rel=0.01)
    assert window.source == f"xe counter, package {ADDRESS}"


def test_tiles_are_parts_of_their_card(tmp_path: Path) -> None:
    card = Card(tmp_path, "energy1", driver="i915")
    for tile in range(2):
        add_gpu(tmp_path, 2 + tile, driver=f"i915_gt{tile}", energy1_input="900")

    assert measured(card, tmp_path).energy_j == pytest.approx(20.0 * POWER_W, rel=0.01)


def test_the_sum_of_windows_is_the_counters_own(tmp_path: Path) -> None:
    card = Card(tmp_path, "energy1")
    meter = open_intel_meter(tmp_path, clock=card.clock)
    before_j, total_j = meter.read_j(), 0.0
    for n in range(40):
        with EnergyWindow(meter, clock=card.clock) as window:
            card.wait(0.6 + 0.013 * n)
        assert window.energy_j is not None
        total_j += window.energy_j

    assert total_j == pytest.approx(meter.read_j() - before_j, rel=1e-9)


@pytest.mark.parametrize("step_uj", [-11_000_000_000, TURN_UJ])
def test_a_counter_that_begins_anew_or_takes_that_for_a_turn_spoils_one_window(tmp_path: Path, step_uj: int) -> None:
    card = Card(tmp_path, "energy1")
    meter = open_intel_meter(tmp_path, clock=card.clock)
    card.wait(60.0)
    with EnergyWindow(meter, clock=card.clock) as spoiled:
        card.wait(10.0, more_uj=step_uj)
    with EnergyWindow(meter, clock=card.clock) as window:
        card.wait(20.0)

    assert (spoiled.energy_j, spoiled.refusal) == (None, "The GPU's energy counter began anew.")
    assert window.energy_j == pytest.approx(20.0 * POWER_W, rel=0.01)
    card.wait(1.0, more_uj=step_uj)
    with pytest.raises(CounterResetError):
        meter.read_j()


def test_a_counter_that_stands_still_is_unknown_and_not_zero(tmp_path: Path) -> None:
    card = Card(tmp_path, "energy1")
    meter = open_intel_meter(tmp_path, clock=card.clock)
    with EnergyWindow(meter, clock=card.clock) as window:
        card.clock.wait(20.0)

    assert (window.energy_j, window.refusal) == (None, f"xe counter, card {ADDRESS} did not advance during 20.000 s.")


def test_a_card_that_vanishes_ends_the_window(tmp_path: Path) -> None:
    card = Card(tmp_path, "energy1")
    meter = open_intel_meter(tmp_path, clock=card.clock)
    with EnergyWindow(meter, clock=card.clock) as window:
        card.wait(10.0)
        (card.folder / "energy1_input").unlink()

    assert window.energy_j is None
    assert "of the Intel GPU cannot be read: No such file or directory." in str(window.refusal)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, f"The Intel GPU at {ADDRESS} does not tell its energy"),
        ({"energy1_input": "N/A"}, "energy1_input of the Intel GPU holds no number"),
    ],
)
def test_what_tells_no_energy_is_refused(tmp_path: Path, files: dict[str, str], sentence: str) -> None:
    add_gpu(tmp_path, 1, driver="xe", **files)

    with pytest.raises(MeterError, match=sentence):
        open_intel_meter(tmp_path)


def test_a_counter_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Card(tmp_path, "energy1")

    def forbidden(path: Path, **_: object) -> str:
        if path.name == "energy1_input":
            raise PermissionError(13, "Permission denied")
        return path.read_bytes().decode()

    monkeypatch.setattr(Path, "read_text", forbidden)
    with pytest.raises(MeterError, match="energy1_input of the Intel GPU cannot be read: Permission denied"):
        open_intel_meter(tmp_path)


def test_of_two_cards_the_one_in_use_is_read(tmp_path: Path) -> None:
    Card(tmp_path, "energy1")
    Card(tmp_path, "energy1", address=OTHER, number=2)

    assert open_intel_meter(tmp_path, pci_address=OTHER).name == f"xe counter, card {OTHER}"
    with pytest.raises(MeterError, match="This machine has 2 Intel GPUs, and which of them is in use is not known"):
        open_intel_meter(tmp_path)
    with pytest.raises(MeterError, match=f"Linux shows no Intel GPU at 0000:99:00.0 under {tmp_path}"):
        open_intel_meter(tmp_path, pci_address="0000:99:00.0")


def test_a_card_has_its_place_in_its_uuid() -> None:
    uuid = bytes.fromhex("8680 0be2 0500 0000 43 00 00 00000000 00")

    assert pci_address_of(uuid) == OTHER
    assert pci_address_of(bytes(16)) is None
    assert pci_address_of(b"") is None


def test_card_and_package_are_metered_together(tmp_path: Path) -> None:
    Card(tmp_path, "energy1")
    add_zone(tmp_path, "intel-rapl:0", "package-0", 0)

    report = detect_meter("xpu", intel_address=ADDRESS, hwmon=tmp_path, powercap=tmp_path)

    assert report.meter is not None
    assert report.meter.name == f"xe counter, card {ADDRESS} + RAPL counter, package-0"


def test_graphics_of_a_cpu_are_in_its_package_and_counted_once(tmp_path: Path) -> None:
    Card(tmp_path, "energy1")  # in the same machine, and not in use
    add_zone(tmp_path, "intel-rapl:0", "package-0", 0)

    report = detect_meter("xpu", intel_address=INTEGRATED_ADDRESS, hwmon=tmp_path, powercap=tmp_path)

    assert report.meter is not None
    assert (report.meter.name, report.refused) == ("RAPL counter, package-0", ())


def test_a_card_that_is_not_in_use_is_in_no_figure(tmp_path: Path) -> None:
    Card(tmp_path, "energy1")
    add_zone(tmp_path, "intel-rapl:0", "package-0", 0)

    report = detect_meter("cpu", hwmon=tmp_path, powercap=tmp_path)

    assert report.meter is not None
    assert report.meter.name == "RAPL counter, package-0"
