import random
from dataclasses import replace

import pytest

from engine.types import CompletionRequest, PromptOptions, Snippet
from lsp_server.suggest.reuse import Suggestion, SuggestionCache, agrees, rest_of, typed_between

DOCUMENT = "file:///a.py"


def at(prefix: str, suffix: str = "\n") -> CompletionRequest:
    return CompletionRequest(prefix=prefix, suffix=suffix)


@pytest.fixture
def cache() -> SuggestionCache:
    """Knows that "x = " goes on with "foo(bar)"."""
    cache = SuggestionCache()
    cache.keep(DOCUMENT, at("x = "), Suggestion(completion_id="a", text="foo(bar)"))
    return cache


def text_at(cache: SuggestionCache, prefix: str, suffix: str = "\n", document: str = DOCUMENT) -> str | None:
    found = cache.find(document, at(prefix, suffix))
    return found.text if found else None


@pytest.mark.parametrize("typed", ["", "f", "foo", "foo(ba"])
def test_what_is_left_of_a_suggestion_is_known(cache: SuggestionCache, typed: str) -> None:
    assert cache.find(DOCUMENT, at(f"x = {typed}")) == Suggestion(completion_id="a", text="foo(bar)"[len(typed) :])


@pytest.mark.parametrize(
    ("prefix", "suffix", "document"),
    [
        ("x = g", "\n", DOCUMENT),
        ("x = foo(bar)", "\n", DOCUMENT),
        ("x = foo(bar) ", "\n", DOCUMENT),
        ("x =", "\n", DOCUMENT),
        ("y = ", "\n", DOCUMENT),
        ("x = foo(", ")\n", DOCUMENT),
        ("x = ", "\n", "file:///b.py"),
    ],
)
def test_elsewhere_nothing_is_known(cache: SuggestionCache, prefix: str, suffix: str, document: str) -> None:
    assert text_at(cache, prefix, suffix, document) is None


def test_what_was_typed_and_taken_back_is_known_again(cache: SuggestionCache) -> None:
    assert [text_at(cache, prefix) for prefix in ("x = f", "x = fo", "x = f", "x = ")] == [
        "oo(bar)",
        "o(bar)",
        "oo(bar)",
        "foo(bar)",
    ]


def test_that_there_is_nothing_to_suggest_is_known_at_that_very_place(cache: SuggestionCache) -> None:
    cache.keep(DOCUMENT, at("y"), Suggestion(completion_id="b", text=""))

    assert text_at(cache, "y") == ""
    assert text_at(cache, "y ") is None


def test_the_newer_of_two_answers_counts(cache: SuggestionCache) -> None:
    cache.keep(DOCUMENT, at("x = f"), Suggestion(completion_id="b", text="abs(1)"))

    assert text_at(cache, "x = f") == "abs(1)"
    assert text_at(cache, "x = ") == "foo(bar)"


def test_a_rest_of_blanks_is_not_worth_showing() -> None:
    assert rest_of("a \n", "a") == ""


def test_the_least_recently_used_goes_first() -> None:
    cache = SuggestionCache(max_suggestions=2)
    for name in "abc":
        cache.keep(DOCUMENT, at(name), Suggestion(completion_id=name, text="text"))
        assert text_at(cache, "a") == "text"

    assert [text_at(cache, name) for name in "abc"] == ["text", None, "text"]


def test_long_documents_are_kept_for_fewer_answers() -> None:
    cache = SuggestionCache(max_chars=250)
    places = [CompletionRequest(prefix="x" * 99 + f"{n}", suffix="", language_id="python") for n in range(3)]
    for n, place in enumerate(places):
        cache.keep(DOCUMENT, place, Suggestion(completion_id=f"{n}", text="foo"))
        cache.keep(DOCUMENT, place, Suggestion(completion_id=f"{n}", text="foo"))

    assert [cache.find(DOCUMENT, place) is not None for place in places] == [False, True, True]

    long = CompletionRequest(prefix="y" * 1000, suffix="", language_id="python")
    cache.keep(DOCUMENT, long, Suggestion(completion_id="long", text="foo"))

    assert cache.find(DOCUMENT, long) is not None
    assert cache.find(DOCUMENT, places[2]) is None


def test_a_closed_document_is_forgotten(cache: SuggestionCache) -> None:
    cache.forget(DOCUMENT)

    assert text_at(cache, "x = ") is None


def test_other_settings_know_nothing(cache: SuggestionCache) -> None:
    cache.clear()

    assert text_at(cache, "x = ") is None


def test_any_way_of_typing_a_suggestion_costs_one_answer() -> None:
    rng = random.Random(0)
    cache = SuggestionCache()
    text = "value in values if value > limit"
    cache.keep(DOCUMENT, at("["), Suggestion(completion_id="a", text=text))
    done = 0
    for _ in range(500):
        done = rng.randrange(max(0, done - 3), min(len(text), done + 8))

        assert text_at(cache, f"[{text[:done]}") == text[done:]


@pytest.mark.parametrize(
    ("older", "newer", "typed"),
    [
        (at("a"), at("ab"), "b"),
        (at("a"), at("a"), ""),
        (at("ab"), at("a"), None),
        (at("a"), at("ab", ")"), None),
        (at("a"), CompletionRequest(prefix="ab", suffix="\n", green_mode=99), None),
        (at("a"), CompletionRequest(prefix="ab", suffix="\n", policy="full-depth"), None),
        (at("a"), CompletionRequest(prefix="ab", suffix="\n", path="b.py"), None),
        (at("a"), CompletionRequest(prefix="ab", suffix="\n", prompt=PromptOptions(snippet_chars=1)), None),
    ],
)
def test_typing_is_what_stands_at_the_cursor_and_nowhere_else(
    older: CompletionRequest, newer: CompletionRequest, typed: str | None
) -> None:
    assert typed_between(older, newer) == typed


def test_a_new_choice_of_pieces_takes_no_suggestion_away_from_who_is_typing_it(cache: SuggestionCache) -> None:
    other_pieces = CompletionRequest(prefix="x = f", suffix="\n", snippets=(Snippet(path="b.py", text="foo"),))

    assert typed_between(at("x = "), other_pieces) == "f"
    assert cache.find(DOCUMENT, other_pieces) == Suggestion(completion_id="a", text="oo(bar)")


@pytest.mark.parametrize(
    ("text", "typed", "fits"), [("one", "on", True), ("on", "one", True), ("", "x", True), ("one", "ox", False)]
)
def test_a_text_that_still_grows_may_agree(text: str, typed: str, *, fits: bool) -> None:
    assert agrees(text, typed) is fits


@pytest.mark.parametrize(
    ("prefix", "suffix", "offered", "typed", "left"),
    [
        ("x = ", "\n", "foo.", "foo", ""),  # a lone sign
        ("x = 1\n", '\n"""\n\ny = 2\n"""Two."""\n', '"""One."""', '"""O', "ne."),  # what the next line closes
        ("x = ", "\n", "foo(a, b)", "foo(a", ", b)"),
        ("", "\n", "def f():\n    return 1", "def f(", "):\n    return 1"),
    ],
)
def test_a_rest_keeps_the_rules_of_the_place_that_typing_came_to(
    prefix: str, suffix: str, offered: str, typed: str, left: str
) -> None:
    cache = SuggestionCache()
    place = CompletionRequest(prefix=prefix, suffix=suffix, language_id="python")
    cache.keep(DOCUMENT, place, Suggestion(completion_id="a", text=offered))

    found = cache.find(DOCUMENT, replace(place, prefix=prefix + typed))

    assert found == Suggestion(completion_id="a", text=left)
