"""AMD's GPUs in a folder that looks like the kernel's."""

from pathlib import Path

import pytest

from engine.energy.amdgpu import open_amdgpu_meter
from engine.energy.detect import detect_meter
from engine.errors import MeterError
from engine.types import Provenance
from tests.engine.energy.test_rapl import add_zone

ADDRESS = "0000:03:00.0"


def add_gpu(root: Path, number: int, address: str = ADDRESS, *, driver: str = "amdgpu", **files: str) -> Path:
    """A folder of hwmon with the link to its device; returns it."""
    device = root / "devices" / address
    device.mkdir(parents=True, exist_ok=True)
    folder = root / f"hwmon{number}"
    folder.mkdir()
    (folder / "device").symlink_to(device)
    (folder / "name").write_text(driver + "\n")
    for name, content in files.items():
        (folder / name).write_text(content + "\n")
    return folder


def test_the_power_of_the_gpu_is_sampled(tmp_path: Path) -> None:
    add_gpu(tmp_path, 0, "0000:00:18.3", driver="k10temp")
    add_gpu(tmp_path, 1, power1_average="215000000")

    meter = open_amdgpu_meter(tmp_path)
    first_j = meter.read_j()
    second_j = meter.read_j()
    meter.close()

    assert (meter.name, meter.provenance) == (f"amdgpu power, GPU {ADDRESS}", Provenance.SAMPLED)
    assert 0.0 <= first_j <= second_j
    assert meter._last_w == 215.0


def test_a_card_that_tells_its_power_of_now_alone_is_sampled_too(tmp_path: Path) -> None:
    add_gpu(tmp_path, 1, power1_input="40500000")

    meter = open_amdgpu_meter(tmp_path)
    meter.close()

    assert meter._last_w == 40.5


def test_of_two_gpus_the_one_in_use_is_read(tmp_path: Path) -> None:
    add_gpu(tmp_path, 1, power1_average="1000000")
    add_gpu(tmp_path, 2, "0000:43:00.0", power1_average="300000000")

    meter = open_amdgpu_meter(tmp_path, pci_address="0000:43:00.0")
    meter.close()

    assert meter._last_w == 300.0
    with pytest.raises(MeterError, match="This machine has 2 AMD GPUs, and which of them is in use is not known"):
        open_amdgpu_meter(tmp_path)


def test_a_gpu_that_is_gone_fails_from_then_on(tmp_path: Path) -> None:
    folder = add_gpu(tmp_path, 1, power1_average="1000000")
    meter = open_amdgpu_meter(tmp_path)
    (folder / "power1_average").unlink()

    for _ in range(2):
        with pytest.raises(MeterError, match="cannot be read: No such file"):
            meter.read_j()
    meter.close()


@pytest.mark.parametrize(
    ("files", "sentence"),
    [({}, "does not tell its power"), ({"power1_average": "N/A"}, "holds no number")],
)
def test_what_tells_no_power_is_refused(tmp_path: Path, files: dict[str, str], sentence: str) -> None:
    add_gpu(tmp_path, 1, **files)

    with pytest.raises(MeterError, match=sentence):
        open_amdgpu_meter(tmp_path)


def test_a_machine_without_the_gpu_in_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match=f"Linux shows no AMD GPU under {tmp_path}"):
        open_amdgpu_meter(tmp_path)
    with pytest.raises(MeterError, match=f"Linux shows no AMD GPU at {ADDRESS}"):
        open_amdgpu_meter(tmp_path, pci_address=ADDRESS)


def test_amd_gpu_and_package_are_metered_together(tmp_path: Path) -> None:
    add_gpu(tmp_path, 1, power1_average="1000000")
    add_zone(tmp_path, "intel-rapl:0", "package-0", 0)

    report = detect_meter("cuda", amd_address=ADDRESS, hwmon=tmp_path, powercap=tmp_path)

    assert report.meter is not None
    assert report.meter.name == f"amdgpu power, GPU {ADDRESS} + RAPL counter, package-0"
    assert report.meter.provenance is Provenance.MIXED
    report.meter.close()
