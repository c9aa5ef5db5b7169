import itertools

import pytest

from engine.completion.prompt import WINDOW_CHARS, build_prompt

DOCUMENT = "".join(f"value_{number} = compute({number}, {number * 7})\n" for number in range(400))


def test_a_short_document_is_the_prompt() -> None:
    assert build_prompt("def f():\n    return").text == "def f():\n    return"


@pytest.mark.parametrize(
    ("prefix", "text", "typed_space"),
    [
        ("def f():\n    ", "def f():\n   ", " "),
        ("{\n\t\t", "{\n\t", "\t"),
        ("x = ", "x =", " "),
        ("x", "x", ""),
        ("f():\n", "f():\n", ""),
    ],
)
def test_the_last_blank_before_the_cursor_is_set_aside(prefix: str, text: str, typed_space: str) -> None:
    prompt = build_prompt(prefix)

    assert (prompt.text, prompt.typed_space) == (text, typed_space)


def test_the_window_is_bounded_and_ends_at_the_cursor() -> None:
    prompt = build_prompt(DOCUMENT)

    assert len(prompt.text) <= WINDOW_CHARS
    assert DOCUMENT.endswith(prompt.text)
    assert prompt.text.startswith("value_")


def test_the_beginning_stays_put_while_a_person_types() -> None:
    prompts = [build_prompt(DOCUMENT[:end]).text for end in range(6000, 8000)]

    moves = sum(not after.startswith(before.rstrip()) for before, after in itertools.pairwise(prompts))

    assert moves <= 4  # 2,000 keystrokes over 48 lines, 16 lines a step


def test_one_enormous_line_is_cut_in_coarse_steps() -> None:
    line = "x" * 5_000_000

    first, second = build_prompt(line).text, build_prompt(line + "y").text

    assert len(first) <= WINDOW_CHARS
    assert second == first + "y"
