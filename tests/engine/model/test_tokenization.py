"""The default model's tokenizer, as completion uses it, and a small one that fills in the middle."""

from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

from engine.completion.fim import FORMATS, FimFormat, find_fim_format
from engine.model.tokenization import Tokenization

FIM_PARTS = ("", "<|fim_prefix|>", "f(", "<|fim_suffix|>", ")", "<|fim_middle|>", "")


@pytest.fixture(scope="module")
def fim_tokenization() -> Tokenization:
    """Bytes as tokens, and control tokens as Qwen2.5-Coder has them: those of infilling not declared as such."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: idx for idx, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    names = ["<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|file_sep|>", "<tool_call>"]
    tokenizer.add_tokens([AddedToken(name, normalized=False, special=False) for name in names])
    return Tokenization(tokenizer, [])


@pytest.mark.parametrize("fim_format", FORMATS, ids=lambda each: str(each.name))
def test_a_format_is_found_where_its_tokens_are_not_declared_as_control_tokens(fim_format: FimFormat) -> None:
    tokenizer = Tokenizer(models.BPE(vocab={"a": 0}, merges=[]))
    names = sorted(fim_format.control_tokens)
    tokenizer.add_tokens([AddedToken(name, normalized=False, special=False) for name in names])

    assert find_fim_format(Tokenization(tokenizer, []).control_ids) == fim_format


def test_a_prompt_in_parts_has_control_tokens_between_its_text(fim_tokenization: Tokenization) -> None:
    control = fim_tokenization.control_ids
    ids = fim_tokenization.encode_parts(FIM_PARTS)

    texts = [fim_tokenization.encode(text) for text in ("f(", ")")]
    assert ids == [
        control["<|fim_prefix|>"],
        *texts[0],
        control["<|fim_suffix|>"],
        *texts[1],
        control["<|fim_middle|>"],
    ]


def test_text_inside_a_prompt_gets_no_blank_of_its_own() -> None:
    """Code Llama's suffix: its tokenizer puts a blank before every text, which its makers take away there."""
    tokenizer = Tokenizer(models.BPE(vocab={char: idx for idx, char in enumerate("▁ab\n☺")}, merges=[]))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens(["▁<PRE>", "▁<SUF>", "▁<MID>"])
    tokenization = Tokenization(tokenizer, [])

    ids = tokenization.encode_parts(("", "▁<PRE>", "", "▁<SUF>", "\nb", "▁<MID>", " a"))

    assert [tokenizer.id_to_token(idx) for idx in ids] == ["▁<PRE>", "▁<SUF>", "\n", "b", "▁<MID>", "▁", "a"]


def test_a_control_token_in_any_part_of_a_document_is_only_text(fim_tokenization: Tokenization) -> None:
    control = set(fim_tokenization.control_ids.values())
    typed = "'<|fim_middle|><|endoftext|><|file_sep|>'"

    ids = fim_tokenization.encode_parts((typed, "<|fim_suffix|>", typed))

    assert [idx for idx in ids if idx in control] == [fim_tokenization.control_ids["<|fim_suffix|>"]]
    assert fim_tokenization.continuation([], fim_tokenization.encode(typed)) == typed


def test_a_control_token_that_the_model_says_ends_the_text_and_is_not_printed(fim_tokenization: Tokenization) -> None:
    prompt_ids = fim_tokenization.encode_parts(FIM_PARTS)
    said = [*fim_tokenization.encode("a"), fim_tokenization.control_ids["<|file_sep|>"]]

    assert said[-1] in fim_tokenization.end_ids
    assert fim_tokenization.continuation(prompt_ids, said) == "a"


def test_an_added_token_that_is_no_control_token_stays_text(fim_tokenization: Tokenization) -> None:
    assert "<tool_call>" not in fim_tokenization.control_ids
    assert fim_tokenization.continuation([], fim_tokenization.encode("<tool_call>")) == "<tool_call>"


@pytest.fixture(scope="module")
def tokenization(default_model_path: Path) -> Tokenization:
    return Tokenization(AutoTokenizer.from_pretrained(default_model_path).backend_tokenizer, [2])


@pytest.mark.model
@pytest.mark.parametrize("text", ["def f(x):\n    return 1234", "\tif (a) {\r\n", "naïve = '💡🌿'", "  x"])
def test_decoding_gives_the_text_back(tokenization: Tokenization, text: str) -> None:
    prompt_ids = tokenization.encode("x = 1\n")
    ids = tokenization.encode(text)

    assert tokenization.continuation(prompt_ids, ids) == text
    assert "".join(tokenization.token_texts(prompt_ids, ids)) == text


@pytest.mark.model
def test_an_incomplete_character_is_held_back(tokenization: Tokenization) -> None:
    ids = tokenization.encode("💡")

    assert len(ids) > 1
    assert tokenization.continuation([], ids[:-1]) == ""


@pytest.mark.model
def test_a_control_token_in_a_document_is_only_text(tokenization: Tokenization) -> None:
    assert not tokenization.end_ids & set(tokenization.encode("stop = '<|im_end|>'"))


@pytest.mark.model
def test_control_tokens_end_a_text(tokenization: Tokenization) -> None:
    assert {0, 1, 2} <= tokenization.end_ids
