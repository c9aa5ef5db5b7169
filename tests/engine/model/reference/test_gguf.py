import sys
from pathlib import Path

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.errors import ModelCorruptError, UnsupportedModelError
from engine.model.reference.gguf import convert_gguf
from tests.engine.model.sources.tiny_gguf import TOKENS, tiny_llama, write_tiny_gguf

PROMPT = torch.tensor([[7, 42, 99, 3, 3, 250]])


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gguf")
    write_tiny_gguf(folder / "tiny.gguf")
    convert_gguf(folder / "tiny.gguf", folder / "converted")
    return folder / "converted"


def test_converted_model_computes_what_the_original_computes(converted: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(converted, local_files_only=True)

    with torch.inference_mode():
        torch.testing.assert_close(model(PROMPT).logits, tiny_llama()(PROMPT).logits)


def test_quantised_weights_become_the_float32_values_they_stand_for(tmp_path: Path) -> None:
    kind = gguf.GGMLQuantizationType.Q4_1
    write_tiny_gguf(tmp_path / "tiny.gguf", quantisation=kind)

    convert_gguf(tmp_path / "tiny.gguf", tmp_path / "converted")

    model = AutoModelForCausalLM.from_pretrained(tmp_path / "converted", local_files_only=True)
    original = tiny_llama().model.embed_tokens.weight.detach().numpy()
    dequantised = gguf.quants.dequantize(gguf.quants.quantize(original, kind), kind)
    assert model.dtype == torch.float32
    assert not torch.equal(model.model.embed_tokens.weight, torch.tensor(original))
    torch.testing.assert_close(model.model.embed_tokens.weight.data, torch.tensor(dequantised), rtol=0, atol=0)


def test_smollm_tokenizer_splits_digits(converted: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(converted, local_files_only=True)

    assert tokenizer.tokenize("de112") == ["de", "1", "1", "2"]


def test_other_pre_tokenizers_stay_as_transformers_made_them(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf", pre_tokenizer="gpt-2")

    convert_gguf(tmp_path / "tiny.gguf", tmp_path / "converted")

    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "converted", local_files_only=True)
    assert tokenizer.tokenize("de112") == ["de", "1", "12"]


@pytest.mark.parametrize("text", [" x = 1", "a ,b 's", "  \n\tdef f(a , b) :\r\n", "é 😀 日本", "<|im_end|>", ""])
def test_decoding_gives_the_text_back(converted: Path, text: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(converted, local_files_only=True)

    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_special_tokens_are_single(converted: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(converted, local_files_only=True)

    assert tokenizer("<|im_end|>").input_ids == [TOKENS.index("<|im_end|>")] == [tokenizer.eos_token_id]


def test_unsupported_family_is_named(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf", architecture="mamba")

    with pytest.raises(UnsupportedModelError, match=r"in tiny\.gguf is of the family 'mamba'.* are llama, "):
        convert_gguf(tmp_path / "tiny.gguf", tmp_path / "converted")


@pytest.mark.parametrize("kept_bytes", [0, 3, 100, 5000, -40])
def test_file_that_is_cut_short_is_corrupt(tmp_path: Path, kept_bytes: int) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf")
    content = (tmp_path / "tiny.gguf").read_bytes()
    (tmp_path / "tiny.gguf").write_bytes(content[:kept_bytes])

    with pytest.raises(ModelCorruptError, match=r"^tiny\.gguf is not a whole GGUF file\.$"):
        convert_gguf(tmp_path / "tiny.gguf", tmp_path / "converted")


def test_file_of_another_kind_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(b"PK\x03\x04" + bytes(1000))

    with pytest.raises(ModelCorruptError, match="not a whole GGUF file"):
        convert_gguf(tmp_path / "tiny.gguf", tmp_path / "converted")


def test_conversion_writes_nothing_to_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf")
    steps: list[tuple[str, int, int | None]] = []

    convert_gguf(tmp_path / "tiny.gguf", tmp_path / "converted", progress=lambda *step: steps.append(step))

    sys.stdout.flush()
    assert capfd.readouterr() == ("", "")
    assert [done for _, done, _ in steps] == [0, 1, 2, 3]


@pytest.mark.model
def test_default_model_splits_digits_and_gives_text_back(default_model_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(default_model_path, local_files_only=True)
    text = "  if n < 1234:\n\treturn 'é' , 56"

    ids = tokenizer(text).input_ids

    assert [token for token in tokenizer.convert_ids_to_tokens(ids) if token.isdigit()] == list("123456")
    assert tokenizer.decode(ids) == text
