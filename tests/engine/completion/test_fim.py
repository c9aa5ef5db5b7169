import itertools

import pytest

from engine.completion.fim import FORMATS, FimFormat, find_fim_format, prompt_parts
from engine.completion.prompt import build_prompt

QWEN = ["<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|file_sep|>"]
STARCODER2 = ["<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>", "<file_sep>"]
SANTACODER = ["<|endoftext|>", "<fim-prefix>", "<fim-middle>", "<fim-suffix>", "<fim-pad>"]
DEEPSEEK = ["<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>", "<|EOT|>"]  # noqa: RUF001 - their spelling
CODE_LLAMA = ["<s>", "</s>", "▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"]
SMOLLM2 = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<file_sep>", "<filename>"]


def fim_format(control_tokens: list[str]) -> FimFormat:
    found = find_fim_format(control_tokens)
    assert found is not None
    return found


MODELS = [QWEN, STARCODER2, SANTACODER, DEEPSEEK, CODE_LLAMA]


def test_every_format_is_that_of_a_model_here() -> None:
    assert [find_fim_format(control_tokens) for control_tokens in MODELS] == [*FORMATS]


@pytest.mark.parametrize(
    ("control_tokens", "parts"),
    [
        pytest.param(QWEN, ("", "<|fim_prefix|>", "f(", "<|fim_suffix|>", ")\ng()", "<|fim_middle|>", ""), id="qwen"),
        pytest.param(
            STARCODER2, ("", "<fim_prefix>", "", "<fim_suffix>", ")\ng()", "<fim_middle>", "f("), id="starcoder2"
        ),
        pytest.param(
            SANTACODER, ("", "<fim-prefix>", "", "<fim-suffix>", ")\ng()", "<fim-middle>", "f("), id="santacoder"
        ),
        pytest.param(
            DEEPSEEK,
            ("", "<｜fim▁begin｜>", "f(", "<｜fim▁hole｜>", ")\ng()", "<｜fim▁end｜>", ""),  # noqa: RUF001 - their spelling
            id="deepseek",
        ),
        pytest.param(CODE_LLAMA, ("", "▁<PRE>", "", "▁<SUF>", ")\ng()", "▁<MID>", "f("), id="code llama"),
    ],
)
def test_the_model_is_told_of_both_sides_in_its_own_format(control_tokens: list[str], parts: tuple[str, ...]) -> None:
    assert prompt_parts(build_prompt("f(", ")\ng()"), fim_format(control_tokens)) == parts


def test_a_model_without_such_tokens_reads_what_stands_before_the_cursor() -> None:
    assert find_fim_format(SMOLLM2) is None
    assert prompt_parts(build_prompt("f(", ")\ng()"), None) == ("f(",)


@pytest.mark.parametrize("suffix", ["", "\n", "\n    \n"])
def test_nothing_behind_the_cursor_needs_no_format(suffix: str) -> None:
    assert prompt_parts(build_prompt("f(", suffix), fim_format(QWEN)) == ("f(",)


def test_suffix_first_keeps_the_whole_prompt_while_a_person_types() -> None:
    prompts = [
        "".join(prompt_parts(build_prompt("x = compute(value"[:end], ")\nprint(x)\n"), fim_format(STARCODER2)))
        for end in range(5, 17)
    ]

    assert all(after.startswith(before.rstrip()) for before, after in itertools.pairwise(prompts))
