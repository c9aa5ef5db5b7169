import random
from pathlib import Path

import pytest

from lsp_server.bench.auto_close import AutoClose, Edit
from lsp_server.bench.mending import next_move

AFTER = "\nx = 1\n"


class Document:
    """What stands there, and where the cursor is."""

    def __init__(self, before: str, after: str) -> None:
        self.before, self.after = before, after

    def apply(self, edit: Edit) -> None:
        kept = self.before[: len(self.before) - edit.removed_before] + edit.text[: edit.before_cursor]
        self.before, self.after = kept, edit.text[edit.before_cursor :] + self.after[edit.removed_behind :]

    def step(self, chars: int) -> None:
        self.before, self.after = self.before + self.after[:chars], self.after[chars:]


def typed(keys: str, before: str = "", after: str = "") -> str:
    """The document after some keys, with | for the cursor; < is backspace."""
    document, closing = Document(before, after), AutoClose(before, after)
    for key in keys:
        document.apply(closing.backspaced() if key == "<" else closing.typed(key))
    return f"{document.before}|{document.after}"


def written(text: str, before: str = "", after: str = AFTER) -> tuple[str, int, int]:
    """The document once a person has written a text, the keys they struck, and those that mend."""
    document, closing = Document(before, after), AutoClose(before, after)
    at = keys = mending_keys = 0
    while at < len(text) or closing.behind:
        move = next_move(text[at:], closing.behind)
        keys, at = keys + move.keys, at + move.types + move.steps
        if move.deletes:
            mending_keys += move.keys
            document.apply(closing.deleted(move.deletes))
        elif move.steps:
            closing.stepped(move.steps)
            document.step(move.steps)
        else:
            document.apply(closing.typed(text[at - move.types : at]))
    return document.before + document.after, keys, mending_keys


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        ("f(", "f(|)"),
        ("f(a)", "f(a)|"),
        ("f([{", "f([{|}])"),
        ("f(<", "f|"),
        ("f(a<<", "f|"),  # only an opener takes its closer along, and that was still there
        ('x = "', 'x = "|"'),
        ('x = "a"', 'x = "a"|'),
        (r'x = "\"', r'x = "\"|"'),
        ('"""', '"""|'),
        ("don't", "don't|"),
        ('f"', 'f"|"'),
        ('f"{', 'f"{|}"'),
        ("\"it's", '"it\'s|"'),
        ("\"a '", '"a \'|"'),
        ("if a {\n", "if a {\n|\n}"),
    ],
)
def test_pairs_close_as_in_the_editor(keys: str, shown: str) -> None:
    assert typed(keys) == shown


def test_nothing_closes_before_a_word() -> None:
    assert typed("(", after="b") == "(|b"
    assert typed('"', after="b") == '"|b'
    assert typed("(", after=", b") == "(|), b"


def test_no_quote_closes_inside_a_long_string() -> None:
    assert typed('"', before='"""Doc.\n\n') == '"""Doc.\n\n"|'


def test_the_closer_comes_below_with_the_indentation_of_its_opener() -> None:
    closing = AutoClose("    f(", "\n")
    closing.typed("{")

    edit = closing.typed("\n        ")

    assert edit == Edit(text="\n        \n    ", before_cursor=9)
    assert closing.behind == "\n    }"


def test_an_editor_without_pairs_types_what_is_typed() -> None:
    closing = AutoClose("", "", {})

    assert [closing.typed(key) for key in "(\n"] == [Edit(text=key, before_cursor=1) for key in "(\n"]
    assert closing.behind == ""


def test_a_suggestion_comes_as_it_is() -> None:
    document, closing = Document("f", "\n"), AutoClose("f", "\n")
    document.apply(closing.typed("("))

    document.apply(closing.pasted("a(b, [c])"))

    assert (document.before, document.after) == ("f(a(b, [c])", ")\n")


@pytest.mark.parametrize(
    ("text", "keys", "mending_keys"),
    [
        ("foo(a, [b])", 11, 0),
        ("x = {\n    1,\n}", 10, 0),  # steps down to the closer, and types over it
        ("x = {\n    1}", 9, 1),  # pulls it up
        ("  x = {\n      1}", 12, 2),  # and its indentation
        ("class A {\n  void f() {\n", 23, 2),  # its ends come later in the file
        ('f("a(", b)', 11, 1),  # no bracket of the code
        ("# see (a\nb", 11, 1),
    ],
)
def test_a_person_strikes_the_keys_that_the_editor_leaves_to_them(text: str, keys: int, mending_keys: int) -> None:
    assert written(text) == (text + AFTER, keys, mending_keys)


def test_any_text_comes_out_as_it_was_wanted() -> None:
    rng = random.Random(0)
    for _ in range(3000):
        text = "".join(rng.choices("()[]{}\"'`\\ab, \n  #", k=rng.randrange(40)))
        before = "".join(rng.choices("([{\"'\\a \n", k=rng.randrange(6)))
        after = "".join(rng.choices(")]}\"'a \n", k=rng.randrange(4)))

        assert written(text, before, after)[0] == before + text + after


def test_real_code_hardly_needs_mending() -> None:
    texts = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
    n_keys = n_mending = 0
    for text in texts:
        document, keys, mending_keys = written(text, after="")
        n_keys, n_mending = n_keys + keys, n_mending + mending_keys

        assert document == text

    assert 0 < n_mending < 0.02 * n_keys
