from dataclasses import replace

import pytest

from engine import recommendation
from engine.completion.fim import FORMATS
from engine.config import DEFAULT_MODEL
from engine.model.catalogue import CATALOGUE
from engine.model.families import FAMILIES
from engine.model.prepared.native.bandwidth import weight_bytes_per_s
from engine.recommendation import Machine, recommend, teaching_s

GB = 10**9
LAPTOP = Machine(
    memory_bytes=16 * GB,
    free_disk_bytes=100 * GB,
    core_bytes_per_s=12e9,
    bytes_per_s=20e9,
    flops_per_s=200e9,
    runtime="native",
)
WORKSTATION = replace(LAPTOP, memory_bytes=128 * GB, bytes_per_s=200e9)


def advised(machine: Machine) -> list[str]:
    return [each.model.name for each in recommend(machine) if each.is_advised]


def test_every_known_model_is_of_a_family_and_has_its_familys_format() -> None:
    assert len({model.name for model in CATALOGUE}) == len(CATALOGUE)
    for model in CATALOGUE:
        assert model.format is None or model.format in FAMILIES[model.family].formats
        assert model.format in {None, *(each.name for each in FORMATS)}
        assert model.sizes.runs_rounded == bool(FAMILIES[model.family].runtimes)


@pytest.mark.parametrize(
    ("name", "n_params"),
    [
        ("smollm2-135m", 134.5e6),
        ("ibm-granite/granite-4.0-350m-base", 352e6),
        ("Qwen/Qwen2.5-Coder-0.5B", 494e6),
        ("deepseek-ai/deepseek-coder-1.3b-base", 1.35e9),
        ("Qwen/Qwen2.5-Coder-1.5B", 1.54e9),
        ("facebook/opt-2.7b", 2.65e9),
        ("bigcode/starcoder2-3b", 3.03e9),
        ("meta-llama/Llama-3.2-3B", 3.21e9),
        ("JetBrains/Mellum-4b-base", 4.0e9),
        ("Qwen/Qwen2.5-Coder-7B", 7.62e9),
    ],
)
def test_sizes_give_the_weights_that_makers_name(name: str, n_params: float) -> None:
    (sizes,) = (model.sizes for model in CATALOGUE if model.name == name)

    assert sizes.n_params == pytest.approx(n_params, rel=0.07)


def test_the_advised_model_fills_in_the_middle_and_grows_with_the_machine() -> None:
    assert advised(LAPTOP) == ["Qwen/Qwen2.5-Coder-0.5B"]
    assert advised(WORKSTATION) == ["Qwen/Qwen2.5-Coder-7B"]
    assert advised(replace(LAPTOP, core_bytes_per_s=4e9, bytes_per_s=4e9)) == ["smollm2-135m"]


def test_nothing_is_advised_where_nothing_fits() -> None:
    small = recommend(replace(LAPTOP, memory_bytes=GB // 2))

    assert advised(replace(LAPTOP, memory_bytes=GB // 2)) == []
    assert all("preparing it takes" in each.why_not for each in small)


@pytest.mark.parametrize(
    ("name", "measured_bytes"),  # by `green-code bench shapes`, each in a process of its own
    [
        ("ibm-granite/granite-4.0-350m-base", 1342e6),
        ("Qwen/Qwen2.5-Coder-0.5B", 1242e6),
        ("Qwen/Qwen2.5-Coder-1.5B", 1757e6),
    ],
)
def test_the_memory_to_prepare_a_model_is_foretold(name: str, measured_bytes: float) -> None:
    (sizes,) = (model.sizes for model in CATALOGUE if model.name == name)

    assert sizes.needs.preparing_bytes == pytest.approx(measured_bytes, rel=0.2)


def test_each_model_says_why_it_does_not_run_well() -> None:
    reasons = {each.model.name: each.why_not for each in recommend(LAPTOP)}

    assert reasons["smollm2-135m"] == ""
    assert reasons["Qwen/Qwen2.5-Coder-1.5B"] == "a token would take 80 ms"
    assert reasons["Qwen/Qwen2.5-Coder-7B"] == "it would take more than a quarter of the memory"
    full = {each.model.name: each.why_not for each in recommend(replace(LAPTOP, free_disk_bytes=GB))}
    assert "of disk, and 1.0 GB are free" in full["Qwen/Qwen2.5-Coder-0.5B"]


@pytest.mark.parametrize("is_there", [True, False])
def test_all_but_the_default_model_need_pytorch(monkeypatch: pytest.MonkeyPatch, *, is_there: bool) -> None:
    monkeypatch.setattr(recommendation, "is_torch_there", lambda: is_there)

    lacking = {each.model.name for each in recommend(LAPTOP) if each.lacks_torch}

    assert lacking == (set() if is_there else {model.name for model in CATALOGUE} - {DEFAULT_MODEL})


def test_time_and_joules_grow_with_what_is_read() -> None:
    rated = sorted(recommend(WORKSTATION), key=lambda each: each.model.sizes.token_bytes)

    assert [each.token_j for each in rated] == sorted(each.token_j for each in rated)
    assert rated[-1].model.name == "facebook/opt-2.7b"  # in fp32: twice what 7 billion weights take in int8
    assert teaching_s(CATALOGUE[0].sizes, 132_000, LAPTOP) == pytest.approx(2 * 134.5e6 * 132_000 / 200e9, rel=0.01)


@pytest.mark.parametrize("kernels", [True, False])
def test_bandwidth_is_measured(monkeypatch: pytest.MonkeyPatch, *, kernels: bool) -> None:
    if not kernels:
        monkeypatch.setattr("engine.model.prepared.native.library.load", lambda: None)

    assert 1e8 < weight_bytes_per_s(1) < 1e12
