import pytest

from engine.completion.cleanup import is_complete, suggestion
from engine.completion.prompt import build_prompt
from engine.completion.shape import shape_at


def suggest(before: str, decoded: str, after: str = "", *, single_line: bool | None = None) -> str:
    prompt = build_prompt(before)
    if prompt.typed.strip():
        decoded = prompt.typed + decoded  # a model says the word at the cursor once more
    shape = shape_at(before, after, prompt, single_line=single_line)
    return decoded[suggestion(decoded, shape)]


@pytest.mark.parametrize(
    ("before", "decoded", "after", "expected"),
    [
        pytest.param("x = a", ".b()\ny = 2", "", ".b()", id="ends with its line"),
        pytest.param("x = ", " a + b\n", "", "a + b", id="typed blank is not repeated"),
        pytest.param("x = ", "a + b\n", "", "a + b", id="model needs no blank"),
        pytest.param("if x:\n    ", " return 1\n    y\n\nz", "", "return 1\n    y", id="block to a blank line"),
        pytest.param("if x:\n    ", " return 1\nelse:\n", "", "return 1", id="block to a dedent"),
        pytest.param("def f():", "\n    return 1\n\ng()", "", "\n    return 1", id="colon opens a block"),
        pytest.param("def f():", "\n    return 1\ng()", "", "\n    return 1", id="opened block ends at a dedent"),
        pytest.param("if x:\n        ", "return 1\n", "", "", id="another indentation was meant"),
        pytest.param("f(a", ", b)\n", ")", ", b", id="closed bracket is not doubled"),
        pytest.param("f(a", ", b)\n", "  # note", ", b)", id="other rest of line stays"),
        pytest.param("x = 1", "\ny = 2\n", "", "", id="line is complete already"),
        pytest.param("x = 1", "   \n", "", "", id="blanks are not worth showing"),
        pytest.param(
            "for i in range(n // 2):", "\n    f(i)\ng()", "\ng()\n", "\n    f(i)", id="`//` divides in brackets"
        ),
        pytest.param("if n // 2 > m:", "\n    f(n)\ng()", "\ng()\n", "\n    f(n)", id="`//` divides in a condition"),
        pytest.param("f(a) { // b", "\n    c();\n}", "\n}\n", "\n    c();", id="`//` begins a comment"),
        pytest.param(
            "[\n\t{\n\t\ta: 1,\n\t}, {",
            "\n\t\ta: 2,\n\t}, {\n\t\ta: 3,\n",
            "\n\t}, {\n\t\ta: 3,\n\t},\n]\n",
            "\n\t\ta: 2,",
            id="the typed line says what the next one does",
        ),
        pytest.param("{\n\t", "\tfoo();\n}\n", "\n}", "foo();", id="tabs"),
    ],
)
def test_suggestion(before: str, decoded: str, after: str, expected: str) -> None:
    assert suggest(before, decoded, after) == expected


def test_a_block_is_complete_at_its_blank_line_and_stays_as_it_is() -> None:
    before, decoded = "if x:\n    ", " a = 1\n    if a:\n        b\n\n    c = 2\n"
    shape = shape_at(before, "", build_prompt(before), single_line=None)
    complete_from = decoded.index("\n\n") + 2
    suggested = [decoded[:stop][suggestion(decoded[:stop], shape)] for stop in range(len(decoded) + 1)]

    assert [is_complete(decoded[:stop], shape) for stop in range(len(decoded) + 1)] == [
        stop >= complete_from for stop in range(len(decoded) + 1)
    ]
    assert set(suggested[complete_from:]) == {"a = 1\n    if a:\n        b"}


def test_single_line_may_be_asked_for() -> None:
    assert suggest("def f():\n    ", " a\n    b\n", single_line=True) == "a"
