"""The native kernels against the reference, and against the arithmetic that they are said to do."""

import ctypes
import re
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.errors import UnsupportedModelError
from engine.model.early_exit import EarlyExitModel
from engine.model.families import FAMILIES
from engine.model.prepared.native import library, packing, runner
from engine.model.prepared.native.library import Instructions
from engine.model.prepared.native.packing import GROUP, _Packer
from engine.model.prepared.native.runner import NativeRunner
from engine.model.prepared.onnx_runtime import OnnxRunner
from engine.model.prepared.quantization import InputStatistics, dequantize, quantize_4, quantize_8
from engine.types import Precision
from tests.engine.model.fast_models import IDS, logits, needs_kernels, prepared, ragged, small_model, with_exits
from tests.tiny_models import early_exit_model, tiny_model

pytestmark = [needs_kernels, pytest.mark.usefixtures("own_cache")]

ROUNDED = 0.1  # of the size of logits, by weights and activations in 8 bits


@pytest.fixture
def with_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Instructions], None]]:
    """From its call on, models are opened with the kernels for these instructions, where this CPU has them."""

    def switch(instructions: Instructions) -> None:
        monkeypatch.setenv("GREEN_CODE_KERNELS", instructions)
        library._find.cache_clear()
        if library.instructions() != instructions:
            pytest.skip(f"this CPU does not run the kernels for {instructions}")

    yield switch
    monkeypatch.undo()
    library._find.cache_clear()


@pytest.fixture(params=[family.name for family in FAMILIES.values() if "native" in family.runtimes])
def reference(request: pytest.FixtureRequest) -> EarlyExitModel:
    return native_model(request.param)


def native_model(family: str, **sizes: int) -> EarlyExitModel:
    """Four heads, each 32 wide; Gemma's see eight positions in all layers but the last."""
    gemma = {"head_dim": 32, "query_pre_attn_scalar": 32} if family == "gemma3_text" else {}
    return small_model(family, **{"hidden_size": 128, "intermediate_size": 192} | gemma | sizes)


def native(model: EarlyExitModel, precision: Precision = "int8") -> EarlyExitModel:
    fast = prepared(model, precision)
    assert isinstance(fast.runner, NativeRunner)
    return fast


def error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return float((actual - expected).abs().median() / expected.abs().median())


def rounded_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """What rows [T, K] become in 8 bits by groups."""
    groups = rows.reshape(len(rows), -1, GROUP)
    scales = np.abs(groups).max(-1, keepdims=True) / 127
    rounded: NDArray[np.float32] = np.rint(groups / scales) * scales
    return rounded.reshape(rows.shape)


@pytest.mark.parametrize("n_rows", [1, 2, 5, 13, 30])
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("instructions", get_args(Instructions))
def test_a_product_is_that_of_the_rounded_weight_and_rows(
    bits: int,
    n_rows: int,
    instructions: Instructions,
    tmp_path: Path,
    with_kernels: Callable[[Instructions], None],
) -> None:
    with_kernels(instructions)
    fast = native(native_model("llama")).runner
    assert isinstance(fast, NativeRunner)
    random = np.random.default_rng(0)
    rows = random.normal(size=(n_rows, 192)).astype(np.float32)
    weight = random.normal(size=(100, 192)).astype(np.float32)  # its last panel is not full
    if bits == 8:
        rows[0], weight[0], weight[1] = 1, 1, -1  # the largest sums that there can be
    bias = random.normal(size=100).astype(np.float32)
    statistics = InputStatistics(mean=rows.mean(0), covariance=np.eye(192, dtype=np.float32)) if bits == 4 else None
    with (tmp_path / "weights").open("wb") as file:
        packed = _Packer(file).linear((weight, bias), statistics)
    fast._mapped = np.memmap(tmp_path / "weights", np.uint8, mode="r")

    product = fast._product(fast._weight(packed), rows[None])[0]

    shift = np.zeros(100, np.float32)
    if statistics is None:
        quantized = quantize_8(weight)
    else:
        quantized, shift = quantize_4(weight, statistics)
    assert packed.bits == bits
    expected = rounded_rows(rows) @ dequantize(quantized).T + bias + shift
    np.testing.assert_allclose(product[:, :100], expected, rtol=2e-3, atol=0.05)  # scales are half floats
    assert not product[:, 100:].any()


def packed_bytes(path: Path, weight: NDArray[np.float32]) -> tuple[bytes, int]:
    """What a weight is packed to, and the most memory that this took."""
    with path.open("wb") as file:
        tracemalloc.start()
        _Packer(file).linear((weight, None))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return path.read_bytes(), peak


def test_a_large_weight_is_rounded_a_few_rows_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weight = np.random.default_rng(0).normal(size=(5000, 128)).astype(np.float32)  # its last panel is not full
    weight[4900] *= 100  # the scale that all are stored by comes last

    monkeypatch.setattr(packing, "_AT_ONCE", weight.size)
    at_once, most = packed_bytes(tmp_path / "at_once", weight)
    monkeypatch.setattr(packing, "_AT_ONCE", weight.size // 20)
    by_and_by, few = packed_bytes(tmp_path / "by_and_by", weight)

    assert by_and_by == at_once
    assert few < 0.4 * weight.nbytes < 2 * weight.nbytes < most


@pytest.mark.parametrize("propagated", [False, True])
def test_it_stays_near_the_reference(reference: EarlyExitModel, *, propagated: bool) -> None:
    fast = native(reference)

    for ours, theirs in zip(ragged(fast, propagated=propagated), ragged(reference, propagated=propagated), strict=True):
        assert 0 < error(ours, theirs) < ROUNDED


def test_four_bits_stay_near(reference: EarlyExitModel) -> None:
    assert 0 < error(all_logits(native(reference, "int4")), all_logits(reference)) < 0.3


SHAPES = [
    {"num_attention_heads": 4, "num_key_value_heads": 4},
    {"num_attention_heads": 6, "num_key_value_heads": 2, "hidden_size": 192},
    {"num_attention_heads": 2, "num_key_value_heads": 1, "hidden_size": 256},  # heads 128 wide
    {"num_attention_heads": 2, "num_key_value_heads": 2, "hidden_size": 192},  # 96
]


@pytest.mark.parametrize("shape", SHAPES)
def test_other_shapes_stay_near_the_reference(shape: dict[str, int]) -> None:
    reference = native_model("llama", **shape)

    assert 0 < error(all_logits(native(reference)), all_logits(reference)) < ROUNDED


WINDOWS = [
    ("gemma3_text", {"sliding_window": 1}),
    ("gemma3_text", {"sliding_window": 17}),  # more than a block of the cache
    ("qwen2", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 2}),
    ("starcoder2", {"sliding_window": 8}),
]


@pytest.mark.parametrize(("family", "window"), WINDOWS)
def test_other_windows_stay_near_the_reference(family: str, window: dict[str, int]) -> None:
    reference = native_model(family, **window)

    assert 0 < error(all_logits(native(reference)), all_logits(reference)) < ROUNDED


UNKNOWN = [
    ({}, "its heads are 8 wide"),
    ({"head_dim": 32, "hidden_activation": "relu"}, "its activation is 'relu'"),
    ({"head_dim": 32, "attn_logit_softcapping": 50.0}, "it attends otherwise"),
    ({"head_dim": 32, "use_bidirectional_attention": True}, "it attends otherwise"),
]


@pytest.mark.parametrize(("changes", "reason"), UNKNOWN)
def test_a_gemma_that_the_kernels_do_not_know_is_refused(changes: dict[str, Any], reason: str) -> None:
    model = early_exit_model(tiny_model("gemma3_text", **changes))

    with pytest.raises(UnsupportedModelError, match=f"cannot run in int8, because {reason}.*choose the precision"):
        prepared(model, "int8")


def all_logits(model: EarlyExitModel) -> torch.Tensor:
    return logits(model, 0, 40, model.new_cache())


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_a_row_is_the_same_to_the_last_bit_whatever_runs_beside_it(
    reference: EarlyExitModel, precision: Precision
) -> None:
    fast = native(reference, precision)
    caches = [fast.new_cache() for _ in range(4)]
    singles = torch.cat([logits(fast, place, place + 1, caches[0]) for place in range(40)], dim=1)

    assert torch.equal(logits(fast, 0, 40, caches[1]), singles)
    pieces = [logits(fast, start, stop, caches[2]) for start, stop in ((0, 3), (3, 20), (20, 29), (29, 40))]
    assert torch.equal(torch.cat(pieces, dim=1), singles)
    with_all_cores(fast)
    together = [logits(fast, start, stop, caches[3]) for start, stop in ((0, 1), (1, 6), (6, 22), (22, 40))]
    assert torch.equal(torch.cat(together, dim=1), singles)


@pytest.mark.skipif(library.instructions() == "avx2", reason="this CPU runs one set of kernels only")
@pytest.mark.parametrize("instructions", get_args(Instructions)[1:])
@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_every_cpu_computes_the_same_bits(
    reference: EarlyExitModel,
    precision: Precision,
    instructions: Instructions,
    with_kernels: Callable[[Instructions], None],
) -> None:
    here = native(reference, precision)
    with_kernels(instructions)
    elsewhere = native(reference, precision)

    for ours, theirs in zip(ragged(here, propagated=True), ragged(elsewhere, propagated=True), strict=True):
        assert torch.equal(ours, theirs)


def with_all_cores(model: EarlyExitModel) -> None:
    model.use_cores(all_cores=True)
    assert isinstance(model.runner, NativeRunner)
    assert model.runner._team is not model.runner._alone


@pytest.mark.parametrize("n_rows", [8, 40])
@pytest.mark.parametrize("all_cores", [False, True])
def test_several_threads_may_run_layers_at_once(*, n_rows: int, all_cores: bool) -> None:
    fast = native(native_model("llama"))
    if all_cores:
        with_all_cores(fast)
    hidden = fast.embed(IDS[:n_rows], 0)

    def run(_: int) -> NDArray[np.float32]:
        return fast.to_numpy(fast.run_layers(hidden, 0, 6, fast.new_cache()))

    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(run, range(50)))

    assert all(np.array_equal(result, results[0]) for result in results)


CTYPES = {"int32_t": ctypes.c_int32, "int64_t": ctypes.c_int64, "float": ctypes.c_float}
CTYPES |= {"Heads": runner._Heads, "Weight": runner.Weight}


def declared_fields(structure: str) -> list[tuple[str, Any]]:
    """The fields of a structure as the C++ sources declare them, in order."""
    sources = [*sorted(library.FOLDER.glob("*.h")), *sorted(library.FOLDER.glob("*.cpp"))]
    text = re.sub(r"//.*", "", "\n".join(path.read_text(encoding="utf-8") for path in sources))
    (body,) = re.findall(rf"\bstruct {structure} {{(.*?)}};", text, re.DOTALL)
    fields = []
    for declaration in filter(None, map(str.strip, body.split(";"))):
        kind, names = re.fullmatch(r"(.*?[\s*])(\w+(?:,\s*\w+)*)", declaration, re.DOTALL).groups()  # type: ignore[union-attr]
        type_ = ctypes.c_void_p if "*" in kind else CTYPES[kind.strip()]
        fields += [(name.strip(), type_) for name in names.split(",")]
    return fields


@pytest.mark.parametrize("structure", [runner.Weight, runner._Heads, runner._Layer, runner._Shape, runner._LayerCache])
def test_the_kernels_see_the_structures_as_they_are_written(structure: type[ctypes.Structure]) -> None:
    """The same names and types in the same order: so every field lies at the same offset."""
    assert list(structure._fields_) == declared_fields(structure.__name__.removeprefix("_"))


def test_numbers_too_small_to_round_count_as_nothing() -> None:
    fast = native(native_model("llama"))

    assert not fast.runner.head(np.full((1, 2, 128), 1e-40, np.float32)).any()


def test_a_cache_grows_past_its_first_room_without_forgetting(
    reference: EarlyExitModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = native(reference)
    expected = logits(fast, 0, 40, fast.new_cache())
    monkeypatch.setattr("engine.model.prepared.prepared_runner.CAPACITY_STEP", 16)
    cache = fast.new_cache()

    grown = torch.cat([logits(fast, start, start + 5, cache) for start in range(0, 40, 5)], dim=1)

    assert torch.equal(grown, expected)


def test_what_is_taken_back_leaves_nothing_behind(reference: EarlyExitModel) -> None:
    fast = native(reference)
    cache = fast.new_cache()
    logits(fast, 0, 40, cache)
    cache.crop(7)

    assert torch.equal(logits(fast, 7, 12, cache), logits(fast, 0, 12, fast.new_cache())[:, 7:])


def test_a_listing_has_the_logits_of_the_whole_head() -> None:
    fast = native(with_exits(native_model("llama"), shortlist=torch.tensor([3, 8, 60])))
    state = fast.exit_state(fast.embed(IDS, 0), 2)
    listing = fast.listing([8, 41, 2, 41])
    assert listing is not None

    near, exact = fast.logits(state, 2, listing), fast.logits(state, 2)

    assert near.shape == (1, len(IDS), 5)
    np.testing.assert_array_equal(near[..., :3], exact[..., [3, 8, 60]])
    np.testing.assert_allclose(near[..., 3:], exact[..., [2, 41]], atol=0.05 * np.abs(exact).max())


def test_the_head_reads_an_exit_through_its_map() -> None:
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(128, 128, generator=generator) / 11, torch.randn(128, generator=generator)
    mapped = with_exits(native_model("llama"), maps={2: (weight, bias)})
    fast = native(mapped)
    state = mapped.exit_state(mapped.embed(IDS, 0), 2)

    assert error(torch.from_numpy(fast.logits(state.numpy(), 2)), mapped.logits(state, 2)) < ROUNDED


@pytest.mark.parametrize("sizes", [{"hidden_size": 64}, {"hidden_size": 128, "intermediate_size": 200}])
def test_sizes_that_the_kernels_do_not_know_run_on_onnx_runtime(sizes: dict[str, int]) -> None:
    model = small_model("llama", **sizes)
    fast = prepared(model, "int8")

    assert isinstance(fast.runner, OnnxRunner)
    assert error(logits(fast, 0, 40, fast.new_cache()), logits(model, 0, 40, model.new_cache())) < ROUNDED
