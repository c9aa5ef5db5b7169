"""The default model's tokenizer, as completion uses it."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from engine.model.tokenization import Tokenization

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def tokenization(default_model_path: Path) -> Tokenization:
    return Tokenization(AutoTokenizer.from_pretrained(default_model_path), [2])


@pytest.mark.parametrize("text", ["def f(x):\n    return 1234", "\tif (a) {\r\n", "naïve = '💡🌿'", "  x"])
def test_decoding_gives_the_text_back(tokenization: Tokenization, text: str) -> None:
    prompt_ids = tokenization.encode("x = 1\n")
    ids = tokenization.encode(text)

    assert tokenization.continuation(prompt_ids, ids) == text
    assert "".join(tokenization.token_texts(prompt_ids, ids)) == text


def test_an_incomplete_character_is_held_back(tokenization: Tokenization) -> None:
    ids = tokenization.encode("💡")

    assert len(ids) > 1
    assert tokenization.continuation([], ids[:-1]) == ""


def test_a_control_token_in_a_document_is_only_text(tokenization: Tokenization) -> None:
    assert not tokenization.end_ids & set(tokenization.encode("stop = '<|im_end|>'"))


def test_control_tokens_end_a_text(tokenization: Tokenization) -> None:
    assert {0, 1, 2} <= tokenization.end_ids
