import random
import time
from itertools import pairwise

import pytest

from engine.completion.prompt import prompt_for
from engine.types import CompletionRequest, PromptOptions, Snippet
from lsp_server.context.neighbours import (
    BLOCK_LINES,
    FAR_LINES,
    MAX_DOCUMENT_CHARS,
    MAX_DOCUMENTS,
    NEAR_LINES,
    PIECE_LINES,
    SNIPPET_CHARS,
    Neighbours,
    likeness,
    words_of,
)

SHOP = "def total_price(basket, discount):\n    return sum(item.price for item in basket) - discount\n"
TILL = "def print_total(basket, customer, discount):\n    print(basket, customer)\n"
ORCHARD = "class Tree:\n    fruits: list[Fruit]\n    harvested = False  # until the season is over\n"
PREFIX = "def print_total(basket, discount):\n    price = total_price(basket, "


class Desk:
    """The neighbours of "a.py", in which somebody types, and the names that are private just now."""

    def __init__(self) -> None:
        self.private: set[str] = set()
        self.n_forgotten = 0
        self.neighbours = Neighbours(
            lambda document: "it is private" if document in self.private else "", lambda _: False, self._forget
        )

    def _forget(self) -> None:
        self.n_forgotten += 1

    def visit(self, name: str, text: str, line: int | None = None) -> None:
        self.neighbours.visit(name, path=f"src/{name}", text=text, line=line)

    def ask(self, prefix: str = PREFIX, suffix: str = "", document: str = "a.py") -> tuple[Snippet, ...]:
        return self.neighbours.pieces_for(document, prefix.count("\n"), prefix, suffix)

    def paths(self, prefix: str = PREFIX, suffix: str = "") -> list[str]:
        return [snippet.path for snippet in self.ask(prefix, suffix)]


@pytest.fixture
def desk() -> Desk:
    """Knows a file that is like what is typed in "a.py", and one that is not."""
    desk = Desk()
    desk.visit("shop.py", SHOP)
    desk.visit("orchard.py", ORCHARD)
    return desk


def test_what_is_like_the_text_around_the_cursor_is_chosen_and_nothing_else(desk: Desk) -> None:
    assert desk.ask() == (Snippet(path="src/shop.py", text=SHOP.strip()),)


def test_what_stands_behind_the_cursor_counts_too(desk: Desk) -> None:
    assert desk.paths("", suffix="\n" + PREFIX) == ["src/shop.py"]


def test_the_most_alike_comes_first(desk: Desk) -> None:
    desk.visit("till.py", PREFIX + "discount)\n    print(price)\n")

    assert desk.paths() == ["src/till.py", "src/shop.py"]


def test_nothing_comes_from_the_document_itself(desk: Desk) -> None:
    assert desk.ask(SHOP, document="shop.py") == ()


def test_without_anything_alike_there_is_nothing() -> None:
    assert Desk().ask() == ()
    assert likeness(words_of(PREFIX), words_of("x = 1")) == 0.0


def test_copies_count_once_and_the_newest_is_taken(desk: Desk) -> None:
    desk.visit("shop_copy.py", SHOP + "# 2\n")

    assert desk.paths() == ["src/shop_copy.py"]


def test_pieces_of_one_document_do_not_overlap_and_keep_within_the_budget() -> None:
    rng = random.Random(0)
    desk, words = Desk(), sorted(words_of(PREFIX))
    lines = [f"{rng.choice(words)} = word_{n}" for n in range(300)]
    desk.visit("b.py", "\n".join(lines))

    pieces = desk.ask()

    shown = [line for piece in pieces for line in piece.text.split("\n")]
    assert len(pieces) > 1
    assert len(shown) == len(set(shown))
    assert set(shown) <= set(lines)
    assert sum(len(piece.text) for piece in pieces) <= SNIPPET_CHARS


def test_a_piece_is_of_whole_lines_even_at_the_documents_end() -> None:
    for n_lines in (1, BLOCK_LINES, BLOCK_LINES + 1, PIECE_LINES, PIECE_LINES + 1):
        desk, lines = Desk(), [f"line_{n} = 0" for n in range(n_lines)]
        desk.visit("b.py", "\n".join(lines))
        (piece,) = desk.ask("\n".join(lines[-5:]))

        shown = piece.text.split("\n")
        assert shown == lines[-len(shown) :]


def test_of_a_long_document_the_lines_around_the_last_visit_count() -> None:
    desk = Desk()
    text = "\n" * NEAR_LINES + SHOP
    desk.visit("shop.py", text)
    assert desk.ask() == ()

    desk.visit("shop.py", text, NEAR_LINES)
    desk.visit("shop.py", text)
    assert desk.paths(PREFIX + "\n" * FAR_LINES, suffix=PREFIX) == ["src/shop.py"]


def test_only_the_newest_documents_are_kept_and_no_enormous_one(desk: Desk) -> None:
    for n in range(MAX_DOCUMENTS - 1):
        desk.visit(f"{n}.py", ORCHARD)
    assert desk.ask() == ()

    desk.visit("shop.json", SHOP + " " * MAX_DOCUMENT_CHARS)
    assert desk.ask("\n" * FAR_LINES + PREFIX) == ()


def test_private_documents_are_never_read() -> None:
    desk = Desk()
    desk.private.add("shop.py")
    desk.visit("shop.py", SHOP)
    desk.private.clear()

    assert desk.ask() == ()


def test_what_becomes_private_is_forgotten_for_good(desk: Desk) -> None:
    assert desk.paths() == ["src/shop.py"]

    desk.private.add("shop.py")
    assert (desk.ask(), desk.n_forgotten) == ((), 1)

    desk.private.clear()
    assert desk.ask("\n" * FAR_LINES + PREFIX) == ()


def test_what_was_private_for_a_while_is_forgotten_also_where_nothing_was_asked(desk: Desk) -> None:
    desk.ask()
    desk.private.add("shop.py")
    desk.neighbours.forget_private()
    desk.private.clear()

    assert desk.ask() == ()


def test_what_was_forgotten_is_not_offered(desk: Desk) -> None:
    desk.ask()
    desk.neighbours.clear()

    assert desk.ask() == ()


def test_a_choice_holds_until_the_cursor_is_far_or_in_another_document(desk: Desk) -> None:
    top = "\n" * FAR_LINES
    chosen = desk.ask(top + PREFIX)
    desk.visit("till.py", PREFIX + "discount)\n    print(price)\n")

    assert desk.ask(top + PREFIX + "\n" * FAR_LINES) == chosen
    assert len(desk.ask(top + PREFIX, document="c.py")) == 2
    assert len(desk.ask(top + PREFIX)) == 2


def test_near_the_top_where_little_is_read_anew_a_choice_comes_sooner(desk: Desk) -> None:
    assert desk.ask("import") == ()
    assert desk.paths("import\n\n\n\n\n" + PREFIX) == ["src/shop.py"]


def test_a_new_choice_of_the_same_pieces_keeps_their_order(desk: Desk) -> None:
    desk.visit("till.py", TILL)
    more_like_shop = PREFIX + "sum(item.price for item in basket)\n"
    more_like_till = PREFIX + "customer)\n    print(basket, customer)\n"
    fresh = Desk()
    fresh.visit("shop.py", SHOP)
    fresh.visit("till.py", TILL)

    first = desk.paths(more_like_shop)

    assert desk.paths("\n" * FAR_LINES + more_like_till) == first
    assert fresh.paths("\n" * FAR_LINES + more_like_till) == first[::-1]


def test_while_lines_are_typed_the_prompts_beginning_moves_only_with_its_window() -> None:
    rng = random.Random(1)
    desk, names = Desk(), sorted(words_of(SHOP + ORCHARD + PREFIX))
    for document in "bcdefgh":
        lines = [f"{' '.join(rng.sample(names, 4))}  # {document} {n}" for n in range(200)]
        desk.visit(f"{document}.py", "\n".join(lines))
    before = "".join(f"{' '.join(rng.sample(names, 3))}\n" for _ in range(300))
    typed = "".join(f"    {' '.join(rng.sample(names, 5))}\n" for _ in range(60))
    prompts = [prompt_for(_request(desk, before + typed[:n_keys])) for n_keys in range(len(typed))]

    moves = [not new.text.startswith(old.text) for old, new in pairwise(prompts)]
    changes = [new.context != old.context for old, new in pairwise(prompts)]
    assert sum(moves) < 10  # of 2,188 keys
    assert 1 <= sum(changes) <= sum(moves)
    assert all(move for move, change in zip(moves, changes, strict=True) if change)


def test_the_choice_moves_on_with_the_text(desk: Desk) -> None:
    text = PREFIX + "discount)\n" + "x = 1\n" * 100 + ORCHARD

    assert desk.paths(PREFIX) == ["src/shop.py"]
    assert desk.paths(text) == ["src/orchard.py"]


def test_many_large_documents_take_no_time_that_is_felt() -> None:
    rng = random.Random(2)
    desk = Desk()
    names = [f"name_{n}" for n in range(500)]
    for document in range(MAX_DOCUMENTS):
        desk.visit(f"{document}.py", "\n".join(" ".join(rng.sample(names, 5)) for _ in range(2000)))

    began_s = time.thread_time()
    desk.ask(" ".join(names[:40]))
    chosen_s = time.thread_time()
    desk.ask(" ".join(names[:40]))
    kept_s = time.thread_time()

    assert chosen_s - began_s < 0.5  # 25 ms here
    assert kept_s - chosen_s < 0.05


def _request(desk: Desk, prefix: str) -> CompletionRequest:
    options = PromptOptions(snippet_chars=SNIPPET_CHARS)
    return CompletionRequest(prefix=prefix, language_id="python", snippets=desk.ask(prefix), prompt=options)
