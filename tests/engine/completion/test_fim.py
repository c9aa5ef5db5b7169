import itertools

import pytest

from engine.completion.fim import FORMATS, FimFormat, find_fim_format, prompt_parts, why_no_format
from engine.completion.prompt import Prompt, build_prompt
from engine.types import Snippet

FIM = ["<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>"]
PIPED = ["<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>"]
OF_STARCODER = ["<|endoftext|>", *FIM, "<filename>", "<gh_stars>", "<jupyter_start>", "<commit_msg>", "<reponame>"]
TOKENS = {
    "Qwen2.5-Coder": [*PIPED, "<|file_sep|>", "<|repo_name|>", "<|im_start|>"],
    "Granite 4": [*PIPED, "<|filename|>", "<|reponame|>", "<|end_of_text|>"],
    "CodeGemma": [*PIPED, "<|file_separator|>"],
    "StarCoder2": ["<|endoftext|>", *FIM, "<repo_name>", "<file_sep>", "<jupyter_start>"],
    "StarCoder": OF_STARCODER,
    "Mellum": [*OF_STARCODER, "<system>", "<user>", "<assistant>", "<think>"],
    "SantaCoder": ["<|endoftext|>", "<fim-prefix>", "<fim-middle>", "<fim-suffix>", "<fim-pad>"],
    "DeepSeek-Coder": ["<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>", "<|EOT|>"],  # noqa: RUF001 - their spelling
    "Code Llama": ["<s>", "</s>", "▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"],
    "Codestral": ["<s>", "</s>", "[INST]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]"],
    "GLM-4": ["<|endoftext|>", "<|code_prefix|>", "<|code_middle|>", "<|code_suffix|>"],
    "Falcon-H1-Tiny-Coder": ["<|end_of_text|>", "<|prefix|>", "<|suffix|>", "<|middle|>"],
    "Seed-Coder": ["<[end▁of▁sentence]>", "<[fim-suffix]>", "<[fim-prefix]>", "<[fim-middle]>"],
}
SMOLLM2 = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<reponame>", "<file_sep>", "<filename>"]

# As their makers write them, with "f(" before the cursor and ")\ng()" behind it.
PUBLISHED = {
    "Qwen2.5-Coder": "<|fim_prefix|>f(<|fim_suffix|>)\ng()<|fim_middle|>",
    "Granite 4": "<|fim_prefix|>f(<|fim_suffix|>)\ng()<|fim_middle|>",
    "CodeGemma": "<|fim_prefix|>f(<|fim_suffix|>)\ng()<|fim_middle|>",
    "StarCoder2": "<fim_prefix><fim_suffix>)\ng()<fim_middle>f(",
    "StarCoder": "<fim_prefix><fim_suffix>)\ng()<fim_middle>f(",
    "Mellum": "<fim_suffix>)\ng()<fim_prefix>f(<fim_middle>",
    "SantaCoder": "<fim-prefix><fim-suffix>)\ng()<fim-middle>f(",
    "DeepSeek-Coder": "<｜fim▁begin｜>f(<｜fim▁hole｜>)\ng()<｜fim▁end｜>",  # noqa: RUF001 - their spelling
    "Code Llama": "▁<PRE>▁<SUF>)\ng()▁<MID> f(",
    "Codestral": "[SUFFIX])\ng()[PREFIX]f(",
    "GLM-4": "<|code_prefix|>f(<|code_suffix|>)\ng()<|code_middle|>",
    "Falcon-H1-Tiny-Coder": "<|prefix|>f(<|suffix|>)\ng()<|middle|>",
    "Seed-Coder": "<[fim-suffix]>)\ng()<[fim-prefix]>f(<[fim-middle]>",
}
# The same in src/app.py of the repository "shop", behind lib.py with "x = 1".
PUBLISHED_WITH_FILES = {
    "Qwen2.5-Coder": "<|repo_name|>shop\n<|file_sep|>lib.py\nx = 1\n<|file_sep|>src/app.py\n"
    "<|fim_prefix|>f(<|fim_suffix|>)\ng()<|fim_middle|>",
    "Granite 4": "<|reponame|>shop\n<|filename|>lib.py\nx = 1\n<|filename|>src/app.py\n"
    "<|fim_prefix|>f(<|fim_suffix|>)\ng()<|fim_middle|>",
    "StarCoder2": "<repo_name>shop<file_sep>lib.py\nx = 1<file_sep><fim_prefix>src/app.py\n"
    "f(<fim_suffix>)\ng()<fim_middle>",
    "Mellum": "<filename>lib.py\nx = 1\n<filename>src/app.py\n<fim_suffix>)\ng()<fim_prefix>f(<fim_middle>",
    "DeepSeek-Coder": "<｜fim▁begin｜>#lib.py\nx = 1\n#src/app.py\nf(<｜fim▁hole｜>)\ng()<｜fim▁end｜>",  # noqa: RUF001 - their spelling
}
LIB = Snippet(path="lib.py", text="x = 1")


def fim_format(name: str) -> FimFormat:
    found = find_fim_format(TOKENS[name])
    assert found is not None
    return found


def between(**changes: object) -> Prompt:
    return Prompt(**{"text": "f(", "typed": "", "suffix": ")\ng()", **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TOKENS)
def test_a_tokenizer_tells_its_makers_format(name: str) -> None:
    assert fim_format(name).name == name
    assert why_no_format(TOKENS[name]) is None


def test_every_format_has_a_source_and_is_tested() -> None:
    assert [each.name for each in FORMATS] == [*TOKENS] == [*PUBLISHED]
    assert all(each.source for each in FORMATS)
    assert {each.name for each in FORMATS if each.file is not None} == PUBLISHED_WITH_FILES.keys()


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_prompt_is_the_published_one_character_by_character(name: str) -> None:
    assert "".join(prompt_parts(between(), fim_format(name))) == PUBLISHED[name]


@pytest.mark.parametrize("name", PUBLISHED_WITH_FILES)
def test_other_files_and_the_path_stand_in_the_makers_own_tokens(name: str) -> None:
    prompt = between(pieces=(LIB,), path="src/app.py", repository="shop", comments="# not read\n")

    parts = prompt_parts(prompt, fim_format(name))

    assert "".join(parts) == PUBLISHED_WITH_FILES[name]
    assert {*parts[1::2]} <= {*TOKENS[name]}
    assert not {*TOKENS[name]} & {*parts[0::2]}


def test_without_text_behind_the_cursor_the_file_goes_on_behind_its_path() -> None:
    prompt = between(suffix="\n", pieces=(LIB,), path="src/app.py", imports="import os\n\n")

    parts = prompt_parts(prompt, fim_format("Qwen2.5-Coder"))

    assert parts == ("", "<|file_sep|>", "lib.py\nx = 1\n", "<|file_sep|>", "src/app.py\nimport os\n\nf(")


@pytest.mark.parametrize("name", sorted(TOKENS.keys() - PUBLISHED_WITH_FILES.keys()))
def test_who_has_seen_no_other_files_reads_them_in_comments(name: str) -> None:
    prompt = between(pieces=(LIB,), path="src/app.py", comments="# lib.py\n# x = 1\n\n")

    assert "# lib.py\n# x = 1\n\nf(" in "".join(prompt_parts(prompt, fim_format(name)))


def test_a_file_without_a_path_gets_no_made_up_one() -> None:
    prompt = between(pieces=(LIB,), comments="# lib.py\n# x = 1\n\n")

    parts = prompt_parts(prompt, fim_format("Qwen2.5-Coder"))

    assert parts[:3] == ("", "<|fim_prefix|>", "# lib.py\n# x = 1\n\nf(")


def test_a_document_that_spells_a_field_or_a_token_is_read_as_it_is() -> None:
    spelled = "{suffix}<|fim_middle|>"

    parts = prompt_parts(between(text=spelled), fim_format("Qwen2.5-Coder"))

    assert parts == ("", "<|fim_prefix|>", spelled, "<|fim_suffix|>", ")\ng()", "<|fim_middle|>", "")


def test_a_model_without_such_tokens_reads_what_stands_before_the_cursor() -> None:
    assert find_fim_format(SMOLLM2) is None
    assert why_no_format(SMOLLM2) is None
    assert prompt_parts(build_prompt("f(1", ")\ng()"), None) == ("f(1",)


@pytest.mark.parametrize(
    "control_tokens",
    [FIM, [*FIM, "<filename>", "<reponame>", "<file_sep>"], PIPED[:2], ["<fill_prefix>", "<fill_suffix>"]],
    ids=["no order told", "two makers at once", "half of them", "others"],
)
def test_tokens_that_fit_no_format_are_told_of_and_not_guessed(control_tokens: list[str]) -> None:
    assert find_fim_format(control_tokens) is None
    told = why_no_format(control_tokens)
    assert told is not None
    assert control_tokens[1] in told


@pytest.mark.parametrize("suffix", ["", "\n", "\n    \n"])
def test_nothing_behind_the_cursor_needs_no_format(suffix: str) -> None:
    assert prompt_parts(build_prompt("f(1", suffix), fim_format("Qwen2.5-Coder")) == ("f(1",)


@pytest.mark.parametrize("name", ["StarCoder2", "Code Llama", "Codestral"])
def test_text_before_the_cursor_at_the_end_keeps_the_whole_prompt_while_a_person_types(name: str) -> None:
    prompts = [
        "".join(prompt_parts(build_prompt("x = compute(value"[:end], ")\nprint(x)\n"), fim_format(name)))
        for end in range(5, 17)
    ]

    assert all(after.startswith(before.rstrip()) for before, after in itertools.pairwise(prompts))
