"""Which device is taken, and what runs on an Intel GPU, as far as a machine without one can tell."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.config import EngineConfig
from engine.decoding.decoder import Decoder
from engine.decoding.stopping import StopCondition
from engine.energy.detect import detect_meter
from engine.errors import ConfigError, DeviceError
from engine.model.loading import load_model, pick_device
from engine.policy.base import OperatingPoint
from engine.policy.baselines import FullDepth
from engine.types import NeverCancelled
from tests.engine.energy.test_amdgpu import add_gpu
from tests.engine.energy.test_rapl import add_zone
from tests.tiny_models import early_exit_model, tiny_model

LOSSLESS = OperatingPoint(energy_weight=0.0, lossless=True)


@pytest.fixture
def intel_gpus(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """What torch would tell of the Intel GPUs here; the first is in use."""
    gpus: list[SimpleNamespace] = []
    monkeypatch.setattr(torch.xpu, "is_available", lambda: bool(gpus))
    monkeypatch.setattr(torch.xpu, "current_device", lambda: 0)
    monkeypatch.setattr(torch.xpu, "get_device_properties", gpus.__getitem__)
    return gpus


def test_an_intel_gpu_is_taken_where_it_is_asked_for(intel_gpus: list[SimpleNamespace]) -> None:
    with pytest.raises(DeviceError, match="PyTorch finds no Intel GPU; install its build for XPU"):
        pick_device("xpu")

    intel_gpus.append(SimpleNamespace())

    assert pick_device("xpu") == "xpu"
    assert pick_device("cpu") == "cpu"


def test_on_it_the_precision_is_no_choice(intel_gpus: list[SimpleNamespace], tmp_path: Path) -> None:
    intel_gpus.append(SimpleNamespace())

    with pytest.raises(ConfigError, match="On a GPU the precision is always bf16"):
        load_model("tiny", tmp_path, EngineConfig(device="xpu", precision="int8"))


@pytest.mark.parametrize(
    ("gpu", "meter"),
    [
        (
            {"uuid": "8680 0be2 0500 0000 43 00 00 00000000 00"},
            "xe counter, GPU 0000:43:00.0 + RAPL counter, package-0",
        ),
        ({"uuid": "8680 a07d 0800 0000 00 02 00 00000000 00"}, "RAPL counter, package-0"),
        ({"is_integrated_gpu": True}, "RAPL counter, package-0"),
        ({}, None),  # torch does not say which of two it is
    ],
)
def test_the_gpu_that_torch_uses_is_metered(
    intel_gpus: list[SimpleNamespace], tmp_path: Path, gpu: dict[str, Any], meter: str | None
) -> None:
    uuid = SimpleNamespace(bytes=bytes.fromhex(gpu["uuid"])) if "uuid" in gpu else None
    intel_gpus.append(SimpleNamespace(**{**gpu, "uuid": uuid}))
    for number, address in enumerate(["0000:03:00.0", "0000:43:00.0"]):
        add_gpu(tmp_path, number, address, driver="xe", energy1_input="5000000")
    add_zone(tmp_path, "intel-rapl:0", "package-0", 0)

    report = detect_meter("xpu", hwmon=tmp_path, powercap=tmp_path)

    assert (report.meter.name if report.meter else None) == meter


def test_the_runner_for_it_decodes_in_bf16() -> None:
    backbone: Any = tiny_model("llama").bfloat16()
    prompt = [5, 80, 3, 41]

    tokens = Decoder(early_exit_model(backbone, (2, 4))).generate(
        prompt,
        policy=FullDepth(),
        point=LOSSLESS,
        stop=StopCondition(max_new_tokens=16),
        cancellation=NeverCancelled(),
    )

    theirs = backbone.generate(torch.tensor([prompt]), max_new_tokens=16, do_sample=False)[0, len(prompt) :]
    assert [token.token_id for token in tokens] == theirs.tolist()
