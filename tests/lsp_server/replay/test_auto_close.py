import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.completion.cleanup import suggestion
from engine.completion.prompt import build_prompt
from engine.completion.shape import shape_at
from lsp_server.replay.auto_close import AutoClose, Edit
from lsp_server.replay.golden_rules import broken_rules
from lsp_server.replay.mending import next_move

ROOT = Path(__file__).parents[3]
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


class Writing:
    """A person who writes a text into a document; what stands there after each key, and the keys so far."""

    def __init__(self, text: str, before: str = "", after: str = AFTER) -> None:
        self.text, self.at = text, 0
        self.document, self.closing = Document(before, after), AutoClose(before, after)
        self.keys = self.mending_keys = 0

    def __iter__(self) -> Iterator[Document]:
        while self.at < len(self.text) or self.closing.behind:
            move = next_move(self.text[self.at :], self.closing.behind)
            self.keys, self.at = self.keys + move.keys, self.at + move.types + move.steps
            if move.deletes:
                self.mending_keys += move.keys
                self.document.apply(self.closing.deleted(move.deletes))
            elif move.steps:
                self.closing.stepped(move.steps)
                self.document.step(move.steps)
            else:
                self.document.apply(self.closing.typed(self.text[self.at - move.types : self.at]))
            yield self.document


def written(text: str, before: str = "", after: str = AFTER) -> tuple[str, int, int]:
    """The document once a text is written, the keys struck for it, and those that mend."""
    writing = Writing(text, before, after)
    for _ in writing:
        pass
    return writing.document.before + writing.document.after, writing.keys, writing.mending_keys


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


@pytest.mark.parametrize(
    ("path", "language_id"), [("vscode-extension/src/client.ts", "typescript"), ("lsp_server/cli/bench.py", "python")]
)
def test_a_model_that_says_what_follows_breaks_no_rule_behind_closed_brackets(path: str, language_id: str) -> None:
    whole = (ROOT / path).read_text(encoding="utf-8")
    start = whole.index("\n", len(whole) // 2) + 1
    end = whole.index("\n", start + 500)
    writing = Writing(whole[start:end], whole[:start], whole[end:])
    n_before_closers = 0
    for place in writing:
        before, after = place.before, place.after
        prompt = build_prompt(before, after)
        decoded = prompt.typed + whole[start + writing.at :][:200]
        answer = decoded[suggestion(decoded, shape_at(before, after, prompt, single_line=None))]
        n_before_closers += bool(answer and writing.closing.behind.strip())

        assert (answer, broken_rules(before, answer, after, language_id)) == (answer, ())

    assert n_before_closers > 50
