"""The shipped cost model against what the default model took, at lengths that its prices were not fitted to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from engine.energy.calibration import Workload
from engine.energy.cost_model import CPU_ACTIVE_POWER_W, default_cost_model
from tests.engine.energy.test_cost_model import SMOLLM2_135M
from tests.engine.energy.test_fit import request_j, work_of

if TYPE_CHECKING:
    from engine.types import ModelGeometry, Runtime

INT8 = replace(SMOLLM2_135M, bytes_per_param=1.03125)
GEOMETRIES: dict[Runtime, ModelGeometry] = {
    "native": INT8,
    "native-amx": INT8,
    "native-avxvnni": INT8,
    "native-avx2": INT8,
    "onnx": replace(SMOLLM2_135M, bytes_per_param=1.0625).with_cache(key_width=192, query_width=576, bytes_per_value=4),
}
# CPU ms of one core (engine/LOG.md, "Prices of the kernels' own"): the prompt read, and 32 tokens decoded behind it.
TOOK_MS: dict[Runtime, dict[int, tuple[float, float]]] = {
    "native": {
        50: (26.8, 149.8),
        128: (62.5, 154.6),
        512: (290.7, 163.2),
        1536: (1195.7, 222.2),
        3072: (3387.3, 287.2),
        4000: (5219.1, 336.2),
    },
    "native-avx2": {
        50: (81.7, 224.0),
        128: (202.6, 224.9),
        512: (887.1, 251.2),
        1536: (3346.9, 311.6),
        3072: (8544.1, 378.3),
        4000: (12680.9, 428.9),
    },
    "onnx": {
        50: (51.1, 324.8),
        128: (131.8, 363.9),
        512: (545.2, 402.2),
        1536: (2125.7, 655.7),
        3072: (5576.3, 1164.6),
        4000: (8511.6, 1348.6),
    },
}
HELD_OUT = [(runtime, length) for runtime, lengths in TOOK_MS.items() for length in lengths]


def modelled_ms(runtime: Runtime, prompt_tokens: int, new_tokens: int, *, reuses_prompt: bool) -> float:
    workload = Workload(
        prompt_tokens=prompt_tokens, new_tokens=new_tokens, exit_layer=INT8.n_layers, reuses_prompt=reuses_prompt
    )
    spent_j = request_j(default_cost_model(GEOMETRIES[runtime], "cpu", runtime), work_of(workload, INT8.n_layers))
    return 1e3 * spent_j / CPU_ACTIVE_POWER_W


@pytest.mark.parametrize(("runtime", "length"), HELD_OUT)
def test_windows_that_were_held_out_are_predicted_to_a_tenth(runtime: Runtime, length: int) -> None:
    read_ms, decoded_ms = TOOK_MS[runtime][length]

    assert modelled_ms(runtime, length, 1, reuses_prompt=False) == pytest.approx(read_ms, rel=0.1)
    assert modelled_ms(runtime, length, 32, reuses_prompt=True) == pytest.approx(decoded_ms, rel=0.1)


@pytest.mark.parametrize(
    ("runtime", "beside", "read", "decoded"),
    [("native-avxvnni", "native-avx2", 0.61, 0.84), ("native-amx", "native", 0.70, 1.0)],
)
def test_what_other_instructions_spare_is_predicted_as_it_was_measured(
    runtime: Runtime, beside: Runtime, read: float, decoded: float
) -> None:
    """256 tokens read, 32 decoded behind them: engine/LOG.md, "Kernels on an Intel Xeon" and "A prompt by AMX"."""
    for n_new, reuses, share in ((1, False, read), (32, True, decoded)):
        ours, theirs = (modelled_ms(one, 256, n_new, reuses_prompt=reuses) for one in (runtime, beside))

        assert ours / theirs == pytest.approx(share, rel=0.05)


@pytest.mark.parametrize(
    ("runtime", "low", "high"),
    [
        ("native", 0.694, 0.751),  # measured on a quiet machine, 15 rounds, 95 % interval
        ("native-avx2", 0.348, 0.59),  # from the one machine's interval to the other's figure
    ],
)
def test_a_token_behind_a_long_prompt_is_as_much_dearer_as_was_measured(
    runtime: Runtime, low: float, high: float
) -> None:
    near_ms, far_ms = (modelled_ms(runtime, length, 32, reuses_prompt=True) for length in (16, 2048))

    assert low < far_ms / near_ms - 1.0 < high
