import itertools
from dataclasses import replace

import pytest

from engine.completion.prompt import build_prompt, prompt_for
from engine.types import CompletionRequest, PromptOptions, Snippet

DOCUMENT = "".join(f"value_{number} = compute({number}, {number * 7})\n" for number in range(400))


def test_a_short_document_is_the_prompt() -> None:
    assert build_prompt("def f():\n    return 1").text == "def f():\n    return 1"


@pytest.mark.parametrize(
    ("prefix", "text", "typed"),
    [
        ("def f():\n    ", "def f():\n   ", " "),
        ("{\n\t\t", "{\n\t", "\t"),
        ("x = ", "x =", " "),
        ("x", "", "x"),
        ("x = 12", "x = 12", ""),
        ("x.", "x", "."),
        ("if a =", "if a", " ="),
        ("print(", "print", "("),
        ('print("', "print", '("'),
        ("f():\n    }", "f():\n   ", " }"),
        ("f():\n}", "f():", "\n}"),
        ("# ----", "# ----", ""),
        ("x = get_user_na", "x =", " get_user_na"),
        ("f():\n\tretu", "f():\n", "\tretu"),
        ("f():\nretu", "f():", "\nretu"),
        ("x = größ", "x =", " größ"),
        ("x = 0x1F", "x = 0x1F", ""),
        ("f():\n", "f():", "\n"),
        ("f():\n\n", "f():\n", "\n"),
    ],
)
def test_the_word_or_the_signs_at_the_cursor_are_set_aside_with_its_blank(prefix: str, text: str, typed: str) -> None:
    prompt = build_prompt(prefix)

    assert (prompt.text, prompt.typed) == (text, typed)


def test_the_window_is_bounded_and_ends_at_the_cursor() -> None:
    prompt = build_prompt(DOCUMENT)

    assert len(prompt.text) <= PromptOptions().window_chars
    assert DOCUMENT.endswith(prompt.text + prompt.typed)
    assert prompt.text.startswith("value_")


def test_the_beginning_stays_put_while_a_person_types() -> None:
    prompts = [build_prompt(DOCUMENT[:end]).text for end in range(6000, 8000)]

    moves = sum(not after.startswith(before.rstrip()) for before, after in itertools.pairwise(prompts))

    assert moves <= 4  # 2,000 keystrokes over 48 lines, 16 lines a step


def test_one_enormous_line_is_cut_in_coarse_steps() -> None:
    line = "x" * 5_000_000

    first, second = build_prompt(line).text, build_prompt(line + "y").text

    assert len(first) <= PromptOptions().window_chars
    assert second == first + "y"


def test_the_suffix_is_cut_to_whole_lines() -> None:
    prompt = build_prompt("x = ", ")\n" + DOCUMENT, options=PromptOptions(suffix_chars=100))

    assert prompt.suffix.startswith(")\nvalue_0")
    assert prompt.suffix.endswith("\n")
    assert 50 < len(prompt.suffix) <= 100


def test_context_is_off_by_default() -> None:
    assert prompt_for(request()).context == ""


@pytest.mark.parametrize(
    ("options", "context"),
    [
        (PromptOptions(with_header=True), "# src/app.py\n"),
        (PromptOptions(snippet_chars=10), "# a.py\n# a = 1\n\n"),
        (PromptOptions(snippet_chars=100), "# b.py\n# b = 2\n# c = 3\n\n# a.py\n# a = 1\n\n"),
        (PromptOptions(snippet_chars=10, with_header=True), "# a.py\n# a = 1\n\n# src/app.py\n"),
    ],
)
def test_context_stands_in_comments_the_most_useful_piece_last(options: PromptOptions, context: str) -> None:
    prompt = prompt_for(request(options))

    assert (prompt.context, prompt.text) == (context, "x =")


def test_a_file_without_a_name_is_known_by_its_language() -> None:
    untitled = CompletionRequest(prefix="x", language_id="go", prompt=PromptOptions(with_header=True))

    assert prompt_for(untitled).context == "// go\n"


def test_a_language_whose_comments_are_not_known_gets_no_context() -> None:
    unknown = replace(request(PromptOptions(snippet_chars=100, with_header=True)), language_id="brainfuck")

    assert prompt_for(unknown).context == ""


def request(options: PromptOptions | None = None) -> CompletionRequest:
    return CompletionRequest(
        prefix="x = ",
        language_id="python",
        path="src/app.py",
        snippets=(Snippet(path="a.py", text="a = 1"), Snippet(path="b.py", text="b = 2\nc = 3")),
        prompt=options or PromptOptions(),
    )


@pytest.mark.parametrize(
    ("n_chars", "read"),
    [
        (0, ""),
        (30, "import sys\n\n"),
        (100, "import os\nfrom pathlib import Path\nimport sys\n\n"),
    ],
)
def test_imports_far_above_are_read_as_far_as_they_fit(n_chars: int, read: str) -> None:
    head = "import os\nfrom a import (\n    b,\n)\nfrom pathlib import Path\nimport sys\nimportant = 1\n"
    body = "".join(f"line_{number} = {number}\n" for number in range(200))
    options = PromptOptions(import_chars=n_chars)

    prompts = [
        prompt_for(CompletionRequest(prefix=head + body + typed, language_id="python", prompt=options))
        for typed in ("", "x = ")
    ]

    assert [prompt.context for prompt in prompts] == [read] * 2
    assert prompt_for(CompletionRequest(prefix=head, language_id="python", prompt=options)).context == ""
