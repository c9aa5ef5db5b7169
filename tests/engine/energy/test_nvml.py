from __future__ import annotations

import subprocess
import sys
import time

import pynvml
import pytest

from engine.energy.meter import EnergyWindow
from engine.energy.nvml import SampledPowerMeter, open_nvml_meter
from engine.errors import MeterError
from engine.types import Provenance
from tests.engine.energy.fakes import FakeClock, FakeGpu, FakeNvml


def test_counter_is_read_in_joules() -> None:
    gpu = FakeGpu(energy_mj=5_000_000)
    meter = open_nvml_meter(FakeNvml(gpu))
    start_j = meter.read_j()

    gpu.energy_mj = 5_012_500

    assert meter.read_j() - start_j == pytest.approx(12.5)
    assert (meter.provenance, meter.name) == (Provenance.MEASURED, "NVML counter, GPU 0")


def test_gpu_in_use_is_found_by_its_uuid() -> None:
    nvml = FakeNvml(FakeGpu(uuid="GPU-aaaa", energy_mj=1000), FakeGpu(uuid="GPU-bbbb", energy_mj=9000))

    meter = open_nvml_meter(nvml, gpu_uuid="bbbb")  # torch writes it without "GPU-"

    assert (meter.read_j(), meter.name) == (9.0, "NVML counter, GPU 1")


def test_no_gpu_is_guessed_among_several() -> None:
    nvml = FakeNvml(FakeGpu(), FakeGpu())

    with pytest.raises(MeterError, match="NVML sees 2 GPUs, and which of them is in use is not known"):
        open_nvml_meter(nvml)
    assert nvml.state.n_inits == 0


def test_card_without_a_counter_has_its_power_sampled() -> None:
    nvml = FakeNvml(FakeGpu(energy_mj=None, power_mw=40_000))

    meter = open_nvml_meter(nvml)
    polled = nvml.state.power_read_thrice.wait(timeout=10)
    meter.close()

    assert (meter.provenance, meter.name) == (Provenance.SAMPLED, "NVML power, GPU 0")
    assert polled
    assert nvml.state.n_inits == 0


def test_power_is_integrated_by_the_trapezoid_rule() -> None:
    clock = FakeClock(now_s=0.0)

    def rising_power_w() -> float:
        clock.wait(1.0)
        return 10.0 * clock.now_s

    meter = SampledPowerMeter(rising_power_w, name="power", clock=clock)  # first sample: 10 W at 1 s
    meter.read_j()
    meter.close()  # the background thread has ended, however often it sampled

    assert meter.read_j() == pytest.approx(5.0 * clock.now_s**2 - 5.0)  # the rule is exact for a straight line


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "no NVIDIA driver is installed on this machine"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "the NVIDIA driver is installed and not loaded"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "this user may not read it; ask the machine's administrator"),
        (pynvml.NVML_ERROR_UNKNOWN, "NVML says Unknown Error"),
    ],
)
def test_missing_driver_or_permission_is_one_sentence(error: int, words: str) -> None:
    with pytest.raises(MeterError) as refusal:
        open_nvml_meter(FakeNvml(init_error=error))

    assert str(refusal.value) == f"The GPU's energy cannot be read: {words}."


def test_card_that_tells_nothing_is_refused_and_nvml_let_go() -> None:
    nvml = FakeNvml(FakeGpu(energy_mj=None, power_mw=None))

    with pytest.raises(MeterError, match="this card tells neither its energy nor its power"):
        open_nvml_meter(nvml)
    assert nvml.state.n_inits == 0


def test_lost_gpu_is_an_error_of_the_meter() -> None:
    nvml = FakeNvml(FakeGpu())
    meter = open_nvml_meter(nvml)

    nvml.state.query_error = pynvml.NVML_ERROR_GPU_IS_LOST

    with pytest.raises(MeterError, match="the GPU has dropped off the bus"):
        meter.read_j()


def test_failed_sample_is_not_bridged_by_later_ones() -> None:
    nvml = FakeNvml(FakeGpu(energy_mj=None))
    meter = open_nvml_meter(nvml)
    nvml.state.query_error = pynvml.NVML_ERROR_TIMEOUT
    with pytest.raises(MeterError):
        meter.read_j()

    nvml.state.query_error = None

    with pytest.raises(MeterError, match="NVML says Timeout"):
        meter.read_j()
    meter.close()


def test_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)  # what Python itself does with a module that cannot be imported

    with pytest.raises(MeterError, match="install nvidia-ml-py"):
        open_nvml_meter()


@pytest.mark.gpu
def test_real_counter_advances_while_the_gpu_works() -> None:
    import torch

    meter = open_nvml_meter(gpu_uuid=str(torch.cuda.get_device_properties(0).uuid))
    start_j = meter.read_j()
    matrix = torch.ones(8192, 8192, device="cuda")
    for _ in range(200):
        matrix @ matrix
    torch.cuda.synchronize()

    assert meter.read_j() > start_j
    meter.close()


@pytest.mark.gpu
def test_another_process_on_the_real_gpu_is_seen() -> None:
    import torch

    burn = "import torch\nm = torch.ones(8192, 8192, device='cuda')\nprint(flush=True)\nwhile True: m @ m"
    meter = open_nvml_meter(gpu_uuid=str(torch.cuda.get_device_properties(0).uuid))
    matrix = torch.ones(8192, 8192, device="cuda")
    with subprocess.Popen([sys.executable, "-c", burn], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with EnergyWindow(meter) as window:
            end_s = time.perf_counter() + 3.0
            while time.perf_counter() < end_s:
                matrix @ matrix
                torch.cuda.synchronize()
        other.kill()
    meter.close()

    assert window.energy_j is not None
    # None in a container, and where NVML does not tell.
    assert window.foreign_share is None or window.foreign_share > 0.2
