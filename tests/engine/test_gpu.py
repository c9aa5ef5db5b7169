"""The same decoder on an NVIDIA GPU, in bf16, with NVML as its meter. Needs the hardware: `pytest -m gpu`."""

from collections.abc import Iterator

import pytest

from engine.config import EngineConfig
from engine.engine import Engine, load_engine
from engine.types import CompletionRequest, Provenance

pytestmark = [pytest.mark.gpu, pytest.mark.model]

PREFIX = "def area(width, height):\n    return width * height\n\n\ndef perimeter(width, height):\n    return"


@pytest.fixture(scope="module")
def gpu_engine() -> Iterator[Engine]:
    engine = load_engine(EngineConfig(device="cuda"))
    yield engine
    engine.close()


def test_a_completion_comes_from_the_gpu(gpu_engine: Engine) -> None:
    completion = gpu_engine.complete(CompletionRequest(prefix=PREFIX, green_mode=0))

    assert completion.text
    assert "bf16" in completion.device


def test_a_request_as_long_as_the_counter_needs_is_measured(gpu_engine: Engine) -> None:
    completion = gpu_engine.complete(
        CompletionRequest(prefix=PREFIX * 20, policy="full-depth", max_new_tokens=256, single_line=False)
    )

    assert "NVML" in gpu_engine.energy_source
    assert completion.energy.provenance in {Provenance.MEASURED, Provenance.SAMPLED, Provenance.MODELLED}
    assert (completion.energy.provenance is Provenance.MODELLED) == (completion.elapsed_s < 0.5)


def test_exits_run_fewer_layers_on_the_gpu_too(gpu_engine: Engine) -> None:
    shallow, full = (
        gpu_engine.complete(CompletionRequest(prefix=PREFIX, green_mode=100, policy=policy))
        for policy in ("fixed:15", "full-depth")
    )

    assert (shallow.mean_exit_layer or 0.0) < (full.mean_exit_layer or 0.0)
