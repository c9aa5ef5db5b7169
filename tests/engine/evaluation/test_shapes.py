"""Random weights at a model's sizes: written, prepared, decoded, and gone."""

from dataclasses import replace
from pathlib import Path

import gguf
import pytest
from typer.testing import CliRunner

from engine.errors import ConfigError
from engine.evaluation.shape_gguf import write_gguf
from engine.evaluation.shapes import measure_shape, write_shape
from engine.model.catalogue import CATALOGUE, KnownModel
from engine.model.sources import model_cache
from engine.model.sources.model_folder import check_folder
from lsp_server.cli.app import app

pytestmark = pytest.mark.usefixtures("own_cache")

OF_EACH_FAMILY = list({model.family: model for model in CATALOGUE}.values())


def small(known: KnownModel) -> KnownModel:
    n_kv_heads = 4 if known.sizes.n_kv_heads == known.sizes.n_heads else 2
    sizes = replace(known.sizes, n_layers=4, width=128, n_heads=4, n_kv_heads=n_kv_heads, head_dim=32, mlp_width=128)
    return replace(known, sizes=replace(sizes, n_vocabulary=300))


@pytest.mark.parametrize("known", OF_EACH_FAMILY, ids=lambda known: known.family)
def test_what_is_written_is_a_model_of_the_family(known: KnownModel, tmp_path: Path) -> None:
    write_shape(small(known), tmp_path)

    check_folder(tmp_path)


@pytest.mark.parametrize("known", OF_EACH_FAMILY, ids=lambda known: known.family)
def test_llama_cpp_gets_the_same_weights_where_it_has_such_layers(known: KnownModel, tmp_path: Path) -> None:
    write_shape(small(known), tmp_path)

    path = write_gguf(small(known), tmp_path)

    if known.family in {"opt", "starcoder2"}:
        assert path is None
        return
    assert path is not None
    shapes = {tensor.name: [int(size) for size in tensor.shape] for tensor in gguf.GGUFReader(path).tensors}
    assert shapes["token_embd.weight"] == [128, 300]
    assert ("output.weight" in shapes) != known.sizes.is_tied
    assert {"blk.3.ffn_gate.weight", "blk.3.ffn_up.weight", "blk.3.ffn_down.weight", "output_norm.weight"} <= {*shapes}
    assert ("blk.0.attn_q.bias" in shapes) == (known.family == "qwen2")


def test_a_shape_is_measured_and_leaves_nothing(tmp_path: Path) -> None:
    report = measure_shape(small(OF_EACH_FAMILY[0]), rounds=1, threads=1)

    assert list(report.by_depth_ms) == list(report.by_depth_j) == [3, 4]
    assert 0 < report.by_depth_j[3] < report.by_depth_j[4]
    assert report.resident_bytes > 20e6
    assert report.peak_bytes is None or report.peak_bytes > report.resident_bytes  # tiny: it is torch that counts
    assert model_cache.names(kind="prepared") == []


def test_a_family_that_no_fast_runner_knows_is_measured_in_fp32(tmp_path: Path) -> None:
    (opt,) = (known for known in OF_EACH_FAMILY if known.family == "opt")

    report = measure_shape(small(opt), rounds=1, threads=1)

    assert "fp32, PyTorch" in report.device
    assert list(report.by_depth_ms) == [3, 4]


def test_sizes_that_nobody_knows_are_told_of_before_anything_is_written() -> None:
    result = CliRunner().invoke(app, ["bench", "shapes", "Qwen/Qwen2.5-Coder-0.5B", "org/unknown"])

    assert isinstance(result.exception, ConfigError)
    assert str(result.exception).startswith("The sizes of 'org/unknown' are not known; those of smollm2-135m,")
