"""A small random model whose tokenizer can fill in the middle: what it reads, and what of that it reads again."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from engine.config import EngineConfig
from engine.engine import Engine, load_engine
from engine.types import CompletionRequest, PromptOptions, Snippet

STARCODER = ["<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<repo_name>", "<file_sep>"]
QWEN = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"]
BEFORE = "def area(width, height):\n    return wid"
READ = BEFORE.removesuffix("wid")  # the word at the cursor is not read but said again
AFTER = " * height\n\n\nprint(area(2, 3))\n"


def infilling_engine(folder: Path, control_tokens: list[str]) -> Engine:
    """Bytes as tokens, and the control tokens not declared as such, as some makers have them."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: idx for idx, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(name, normalized=False, special=False) for name in control_tokens])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(alphabet) + len(control_tokens),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=2,
        max_position_embeddings=512,
        eos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return load_engine(EngineConfig(model=str(folder), device="cpu", precision="fp32"))


def request(typed: str = "", *, options: PromptOptions | None = None, after: str = AFTER) -> CompletionRequest:
    return CompletionRequest(
        prefix=BEFORE + typed, suffix=after, green_mode=0, max_new_tokens=4, prompt=options or PromptOptions()
    )


@pytest.mark.parametrize("control_tokens", [STARCODER, QWEN])
def test_the_model_reads_both_sides_of_the_cursor(tmp_path: Path, control_tokens: list[str]) -> None:
    engine = infilling_engine(tmp_path, control_tokens)

    assert engine.complete(request()).prompt_tokens == len(READ) + len(AFTER) + 3
    assert engine.complete(request(options=PromptOptions(suffix_chars=0))).prompt_tokens == len(READ)


def test_typing_on_computes_no_more_than_what_was_typed_where_the_suffix_comes_first(tmp_path: Path) -> None:
    engine = infilling_engine(tmp_path, STARCODER)
    first = engine.complete(request())

    second = engine.complete(request("t"))

    # Not even that where the first request has said it.
    assert (second.prompt_tokens or 0) - (second.reused_tokens or 0) <= 1
    assert (second.reused_tokens or 0) >= (first.prompt_tokens or 0)


def test_the_suffix_is_computed_again_where_it_comes_last(tmp_path: Path) -> None:
    engine = infilling_engine(tmp_path, QWEN)
    engine.complete(request())

    second = engine.complete(request("t"))

    assert second.reused_tokens == 1 + len(READ)


def test_a_control_token_that_a_document_spells_is_only_text(tmp_path: Path) -> None:
    engine = infilling_engine(tmp_path, QWEN)
    spelled = " * '<|fim_middle|>'\n"

    assert engine.complete(request(after=spelled)).prompt_tokens == len(READ) + len(spelled) + 3


def test_a_prompt_too_long_for_the_model_keeps_the_text_at_the_cursor(tmp_path: Path) -> None:
    engine = infilling_engine(tmp_path, QWEN)

    completion = engine.complete(request(after="x = 1\n" * 80))

    assert completion.prompt_tokens == len(READ)


def test_tokens_that_no_format_fits_are_told_of_when_the_model_is_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = infilling_engine(tmp_path, ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"])

    assert engine.complete(request()).prompt_tokens == len(READ)
    assert engine.format_refused is not None
    assert "<fim_middle>, <fim_prefix>, <fim_suffix>, which no format known here fits" in caplog.text


def test_other_files_stand_in_the_models_own_tokens(tmp_path: Path) -> None:
    engine = infilling_engine(tmp_path, [*QWEN, "<|repo_name|>", "<|file_sep|>"])
    asked = replace(
        request(options=PromptOptions(snippet_chars=100)),
        path="a.py",
        repository="shop",
        snippets=(Snippet(path="b.py", text="x = 1"),),
    )

    assert engine.complete(asked).prompt_tokens == 6 + len("shop\nb.py\nx = 1\na.py\n") + len(READ) + len(AFTER)
