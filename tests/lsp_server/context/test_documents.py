import random
import time
from pathlib import Path

import pytest
from lsprotocol.types import (
    Position,
    Range,
    SelectedCompletionInfo,
    TextDocumentContentChangePartial,
    TextDocumentContentChangeWholeDocument,
    TextDocumentItem,
)
from pygls.workspace import PositionCodec

from lsp_server.context.documents import (
    WINDOW_AFTER,
    WINDOW_BEFORE,
    WINDOW_STEP,
    CursorContext,
    OpenDocument,
    OpenDocuments,
    cursor_context,
    path_of,
)


def context_at(text: str, line: int, character: int) -> CursorContext:
    return cursor_context(document_of(text), Position(line=line, character=character))


def document_of(text: str) -> OpenDocument:
    return OpenDocument("file:///a.py", source=text, version=1, language_id="python")


def test_text_is_cut_at_the_cursor() -> None:
    context = context_at("def f(x):\n    return x\n", 1, 11)

    assert (context.prefix, context.suffix) == ("def f(x):\n    return ", "x\n")
    assert context.insert_range == Range(start=Position(1, 11), end=Position(1, 11))
    assert context.language_id == "python"


def test_columns_count_utf_16_units() -> None:
    context = context_at("s = '😋😋' + x", 0, 12)

    assert (context.prefix, context.suffix) == ("s = '😋😋' +", " x")
    assert context.insert_range.start == Position(0, 12)


def test_a_position_inside_a_surrogate_pair_moves_behind_it() -> None:
    context = context_at("a😋b", 0, 2)

    assert (context.prefix, context.suffix) == ("a😋", "b")
    assert context.insert_range.start == Position(0, 3)


def test_half_a_surrogate_pair_becomes_a_character_that_every_tokenizer_takes() -> None:
    context = context_at("x = '\ud83d'", 0, 7)

    assert context.prefix == "x = '\ufffd'"


def test_crlf_becomes_lf() -> None:
    context = context_at("a\r\nb\r\nc", 1, 1)

    assert (context.prefix, context.suffix) == ("a\nb", "\nc")


def test_a_lone_cr_ends_a_line() -> None:
    context = context_at("a\rb\rc", 2, 0)

    assert (context.prefix, context.suffix) == ("a\nb\n", "c")


@pytest.mark.parametrize("char", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_no_other_character_ends_a_line(char: str) -> None:
    assert context_at(f"a{char}b\ncd", 1, 1).prefix == f"a{char}b\nc"


@pytest.mark.parametrize("text", ["", "\n", "a", "a\n", "a\nb", "é\r\n😋"])
@pytest.mark.parametrize(("line", "character"), [(0, 0), (0, 99), (1, 0), (1, 99), (2, 0), (99, 99)])
def test_a_position_outside_moves_to_the_nearest_place_inside(text: str, line: int, character: int) -> None:
    context = context_at(text, line, character)

    assert context.prefix + context.suffix == text.replace("\r\n", "\n")
    inside = context.insert_range.start
    assert context_at(text, inside.line, inside.character) == context


def test_the_selected_entry_of_the_suggest_widget_ends_the_prefix() -> None:
    selected = SelectedCompletionInfo(range=Range(start=Position(0, 4), end=Position(0, 6)), text="append")

    context = cursor_context(document_of("xs.yap\nz"), Position(0, 6), selected)

    assert context.prefix == "xs.yappend"
    assert context.suffix == "\nz"
    assert context.selected_text == "append"
    assert context.insert_range == selected.range


def test_a_large_document_is_windowed_and_fast() -> None:
    lines = ["x = 1  # some words to fill a line of usual length"] * 100_000
    document = document_of("\n".join(lines))
    assert len(document.source) > 5_000_000

    began_s = time.thread_time()
    context = cursor_context(document, Position(90_000, 5))
    elapsed_s = time.thread_time() - began_s

    assert WINDOW_BEFORE <= len(context.prefix) <= WINDOW_BEFORE + WINDOW_STEP
    assert len(context.suffix) == WINDOW_AFTER
    assert context.prefix.endswith("\nx = 1")
    assert elapsed_s < 0.5  # 0.02 s here; quadratic work would take minutes


def test_a_document_of_one_huge_line_is_windowed() -> None:
    context = context_at("é" * 2_000_000, 0, 1_999_999)

    assert len(context.prefix) <= WINDOW_BEFORE + WINDOW_STEP
    assert context.suffix == "é"


def test_the_window_stays_put_while_a_person_types() -> None:
    text = "\n".join(f"line {n}" for n in range(20_000))
    starts = {context_at(text + "x" * n, 99_999, 0).prefix[:20] for n in range(200)}

    assert len(starts) == 1


def test_edits_give_what_the_editor_has() -> None:
    rng = random.Random(2)
    alphabet = ["a", "é", "😋", "\n", "\r\n", "\x0c", "\u2028", " "]
    document = document_of("")
    # The editor's copy: UTF-16 units, edited by offset.
    units = "".encode("utf-16-le")
    for version in range(300):
        codec = PositionCodec()
        text = units.decode("utf-16-le")
        boundaries = [n for n in range(len(text) + 1) if text[n - 1 : n + 1] != "\r\n"]
        start, end = sorted(rng.choice(boundaries) for _ in range(2))
        new = "".join(rng.choice(alphabet) for _ in range(rng.randrange(6)))
        change = TextDocumentContentChangePartial(
            range=Range(start=_position(text, start, codec), end=_position(text, end, codec)), text=new
        )

        document.apply_change(change)

        units = (text[:start] + new + text[end:]).encode("utf-16-le")
        assert document.source == units.decode("utf-16-le"), version


def _position(text: str, offset: int, codec: PositionCodec) -> Position:
    lines = text[:offset].replace("\r\n", "\n").split("\n")
    return Position(line=len(lines) - 1, character=codec.client_num_units(lines[-1]))


def test_a_whole_new_text_replaces_the_old() -> None:
    document = document_of("old")

    document.apply_change(TextDocumentContentChangeWholeDocument(text="new"))

    assert document.source == "new"


def test_a_file_that_is_not_open_is_not_read() -> None:
    documents = OpenDocuments(None)
    documents.put_text_document(TextDocumentItem(uri="file:///a.py", language_id="python", version=1, text="x"))

    assert documents.find("file:///b.py") is None
    assert documents.find("file:///a.py") is not None


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a/b%20c/.env", "/a/b c/.env"),
        ("untitled:/a/.env", "/a/.env"),
        ("vscode-notebook-cell:/a/nb.ipynb#W0", "/a/nb.ipynb"),
        ("untitled:Untitled-1", None),
    ],
)
def test_a_document_stands_for_a_file_whatever_its_scheme(uri: str, path: str | None) -> None:
    assert path_of(uri) == (Path(path) if path else None)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("file:///home/me/shop/src/a%20b.py", "src/a b.py"),
        ("file:///home/me/secret/a.py", "a.py"),
        ("vscode-notebook-cell:/home/me/shop/nb.ipynb#W0", "nb.ipynb"),
        ("untitled:Untitled-1", ""),
    ],
)
def test_a_path_is_shown_without_where_on_the_disk_it_lies(uri: str, shown: str) -> None:
    assert OpenDocuments("file:///home/me/shop").shown_path(uri) == shown


@pytest.mark.parametrize(("uri", "shown"), [("file:///home/me/shop/src/a.py", "shop"), ("file:///home/me/a.py", "")])
def test_a_repository_is_shown_by_its_own_name_alone(uri: str, shown: str) -> None:
    assert OpenDocuments("file:///home/me/shop").shown_repository(uri) == shown
