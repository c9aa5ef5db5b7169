"""What says the same again and again is seen at the text's end and cut before it; what counts or is meant is not."""

import random
import re

import pytest

from engine.completion.loops import loop_length


def kept(text: str, *, head: str = "", document: str = "") -> str | None:
    """What is left where a loop is seen while the text grows; None where none is."""
    lengths = (loop_length(text[:end], head=head, document=document) for end in range(1, len(text) + 1))
    length = next((length for length in lengths if length is not None), None)
    return None if length is None else text[:length]


@pytest.mark.parametrize(
    ("head", "text", "expected"),
    [
        # the same line again, indented otherwise each time
        ("\t\t", "print(x)\n\t\t\tprint(x)\n\t\t\t\tprint(x)\n\t\t\t\t\tprint(x)\n", "print(x)"),
        # several lines again
        ("", "if a:\n    b()\n  if a:\n      b()\n    if a:\n       b()\n  if a:\n   b()\n", "if a:\n    b()"),
        # a phrase within a line
        ("// ", "the same thing as the same thing as the same thing as the same thing as", "the same thing as"),
        ("open('/etc/", "passwd/passwd/passwd/passwd/passwd", "passwd"),
        # a long one takes three
        ("- ", "uses: actions/checkout@v4\n- " * 3, "uses: actions/checkout@v4"),
        # it began before the cursor
        ("a, a, ", "a, a, a, a = 1", ""),
        ("a, ", "b, b, b, b, b, b", "b"),
        # tags
        ("", "<div><div><div><div><div>", "<div>"),
        # signs alone
        ("# ", "-----------------", ""),
        ("x = ", "[[[[[[[[[[[[[[[[[[[[[", ""),
        # letters without a separator
        ('key = "', "A" * 30, ""),
        # in an alphabet of its own
        ("# ", "да и да и да и да и да", "да и"),
    ],
)
def test_a_loop_is_cut_behind_what_it_says(head: str, text: str, expected: str) -> None:
    left = kept(text, head=head)

    assert left is not None
    assert left.rstrip() == expected


@pytest.mark.parametrize(
    ("head", "text", "expected"),
    [
        ("    ", "case 1:\n    case 2:\n    case 3:\n    case 4:\n", "case 1:\n    case 2:\n    case 3:\n    "),
        ("x = [", "0, 0, 0, 0, 0, 0, 0, 0", "0, 0, 0, "),
        ("", "a1 = 1\na2 = 2\na3 = 3\na4 = 4\n", "a1 = 1\na2 = 2\na3 = 3\n"),
    ],
)
def test_of_numbers_three_are_left(head: str, text: str, expected: str) -> None:
    assert (kept(text, head=head) or "").rstrip() == expected.rstrip()


@pytest.mark.parametrize(
    ("document", "head", "text"),
    [
        # cases that the document counts already
        ("switch (n) {\n    case 0:\n", "    ", "case 1:\n    case 2:\n    case 3:\n    case 4:\n    case 5:\n"),
        ("x1 = 0\n", "", "x2 = 0\nx3 = 0\nx4 = 0\nx5 = 0\nx6 = 0\n"),
        # tables of data
        ("T = [\n    [0.1, 0.2, 0.4, 0.8],\n", "    [", "0.3, 0.6, 1.2, 2.4, 4.8]"),
        ("T = [[0, 0, 0, 0],\n", "     [", "0, 0, 0, 0, 0, 0]"),
        # a rule as the document has it
        ("# --------------\n# Section\n", "# ", "--------------"),
    ],
)
def test_what_the_document_repeats_may_go_on(document: str, head: str, text: str) -> None:
    assert kept(text, head=head, document=document + head) is None


def test_what_the_document_repeats_may_not_go_on_without_end() -> None:
    head = "const a = [1, 1, 1, 1, "

    assert kept("1, 1, 1, 1", head=head, document=head) is None
    assert kept("1, " * 12, head=head, document=head) == ""


@pytest.mark.parametrize(
    ("head", "text"),
    [
        ("    ", "case 1: return a;\n    case 2: return b;\n    case 3: return c;\n    case 4: return d;\n"),
        ("", "a = b;\nc = d;\ne = f;\ng = h;\n"),
        ("return ", "f(g(h(i(j(k(1))))))"),
        ("mask = ", "0xFFFFFFFF"),
        ("x = ", "[0, 0, 0]"),
        ("print(", '"...", a, a, a)'),
        ("days = ", '["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]'),
        ("", "        \n            \n                x = 1\n"),
        ("assert x ", "=== null && y !== null && z !== null"),
        ("", "def a(self):\n    return self.a\n\ndef b(self):\n    return self.b\n\ndef c(self):\n    return self.c\n"),
    ],
)
def test_what_is_no_loop_is_left_alone(head: str, text: str) -> None:
    assert kept(text, head=head) is None


@pytest.mark.parametrize("n_copies", [5, 20])
@pytest.mark.parametrize("unit", ["foo(a, b); ", "x ", "  item: [1]\n", "/* */ ", "é "])
def test_nothing_kept_is_a_loop_itself(unit: str, n_copies: int) -> None:
    left = kept(unit * n_copies)

    assert left is not None
    assert re.search(r"(\S.{0,60}?)\1{3,}", re.sub(r"\d+", "0", re.sub(r"\s+", " ", left))) is None


def test_a_loop_is_seen_though_its_last_token_says_more() -> None:
    text = "foo, foo, foo, foo, bar"

    assert loop_length(text) == len("foo, ")
    assert loop_length(text + " = something else then") is None


def test_what_is_kept_of_a_loop_is_less_than_the_text_and_ends_no_word_before_its_end() -> None:
    draw = random.Random(0)
    n_loops = 0
    for _ in range(5000):
        unit = "".join(draw.choices("ab c(1", k=draw.randint(1, 20)))
        text = "".join(draw.choices("ab c(", k=draw.randint(0, 12))) + unit * draw.randint(2, 9)
        text += unit[: draw.randint(0, len(unit))]
        length = loop_length(text, head="".join(draw.choices("ab ", k=draw.randint(0, 5))))
        if length is not None:
            n_loops += 1
            assert 0 <= length < len(text)
            assert length == 0 or not (text[length - 1].isalnum() and text[length].isalnum())
    assert n_loops > 1000
