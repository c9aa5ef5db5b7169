"""A plain GGUF file kept as it is says, byte for byte, what transformers makes of it."""

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoConfig, AutoTokenizer

from engine.errors import ModelCorruptError
from engine.model.reference.gguf import convert_gguf
from engine.model.reference.weight_files import WeightFiles, load_whole
from engine.model.sources.llama_gguf import kept_gguf, llama_gguf
from tests.engine.model.sources.tiny_gguf import TOKENS, store_both_ways, tiny_llama, write_tiny_gguf


@pytest.mark.parametrize("quantisation", [gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.Q8_0])
def test_weights_and_tokenizer_are_the_same(quantisation: gguf.GGMLQuantizationType, tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf", quantisation=quantisation)
    convert_gguf(tmp_path / "tiny.gguf", tmp_path / "torch")
    plain, steps = llama_gguf(tmp_path / "tiny.gguf"), []
    assert plain is not None

    plain.store(tmp_path / "numpy", progress=lambda *step: steps.append(step))

    converted = load_file(tmp_path / "torch" / "model.safetensors")
    assert plain.tensors.keys() == converted.keys()
    for name, weight in converted.items():
        assert plain.shape(name) == weight.shape
        np.testing.assert_array_equal(plain.read(name), weight)
        np.testing.assert_array_equal(plain.read(name, slice(1, 5)), weight[1:5])
    numpy, theirs = tmp_path / "numpy", tmp_path / "torch" / "tokenizer.json"
    assert (numpy / "tokenizer.json").read_bytes() == theirs.read_bytes()
    assert (numpy / "model.gguf").read_bytes() == (tmp_path / "tiny.gguf").read_bytes()
    assert [step[1:] for step in steps] == [(0, 2), (1, 2), (2, 2)]


def test_transformers_layers_get_the_same_weights(tmp_path: Path) -> None:
    store_both_ways(tmp_path)

    ours, theirs = (
        load_whole(folder, AutoConfig.from_pretrained(folder), torch.float32)
        for folder in (tmp_path / "numpy", tmp_path / "torch")
    )

    assert ours.generation_config.eos_token_id == theirs.generation_config.eos_token_id
    for name, weight in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight)


def test_a_gguf_file_beside_a_folders_own_weights_is_passed_over(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "model.gguf", quantisation=gguf.GGMLQuantizationType.Q8_0)
    model = tiny_llama()
    model.save_pretrained(tmp_path)

    found = load_whole(tmp_path, AutoConfig.from_pretrained(tmp_path), torch.float32)

    assert kept_gguf(tmp_path) is None
    assert torch.equal(found.lm_head.weight, model.lm_head.weight)
    assert torch.equal(WeightFiles(tmp_path).read("model.embed_tokens.weight"), model.model.embed_tokens.weight)


def test_another_files_weights_are_refused(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf")
    write_tiny_gguf(tmp_path / "other.gguf", hidden_size=64)
    plain = llama_gguf(tmp_path / "tiny.gguf")
    assert plain is not None
    plain.store(tmp_path / "numpy")
    (tmp_path / "other.gguf").replace(tmp_path / "numpy" / "model.gguf")

    with pytest.raises(ModelCorruptError, match="are not the model's"):
        load_whole(tmp_path / "numpy", AutoConfig.from_pretrained(tmp_path / "numpy"), torch.float32)


def test_transformers_reads_the_same_settings(tmp_path: Path) -> None:
    store_both_ways(tmp_path)

    ours, theirs = (AutoConfig.from_pretrained(tmp_path / folder).to_dict() for folder in ("numpy", "torch"))

    assert {name for name in theirs if ours.get(name) != theirs[name]} <= {"_name_or_path", "transformers_version"}
    ours, theirs = (AutoTokenizer.from_pretrained(tmp_path / folder) for folder in ("numpy", "torch"))
    assert ours.special_tokens_map == theirs.special_tokens_map
    assert ours.backend_tokenizer.to_str() == theirs.backend_tokenizer.to_str()
    ends = json.loads((tmp_path / "numpy" / "generation_config.json").read_text())
    assert ends["eos_token_id"] == TOKENS.index("<|im_end|>")


def test_other_files_are_left_to_transformers(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "other.gguf", pre_tokenizer="default")
    write_tiny_gguf(tmp_path / "whole.gguf")
    (tmp_path / "short.gguf").write_bytes((tmp_path / "whole.gguf").read_bytes()[:5000])
    (tmp_path / "none.gguf").write_bytes(b"no model")

    for name in ("other", "short", "none"):
        assert llama_gguf(tmp_path / f"{name}.gguf") is None
