"""Product, evaluation and training offer one and the same text at one and the same place."""

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

import pytest

from engine.completion.kept import kept_characters
from engine.completion.site import ended_by_rules, offered, site_for
from engine.decoding.pool import DecoderPool
from engine.energy.cost_model import default_cost_model
from engine.engine import Engine
from engine.evaluation.arms import all_arms
from engine.evaluation.places import Place
from engine.evaluation.runs import run_arms
from engine.model.loaded import LoadedModel
from engine.policy.base import OperatingPoint
from engine.policy.baselines import FullDepth
from engine.text import TextDecoder
from engine.training.policy.closed_loop import play
from engine.training.policy.env import EpisodeKind
from engine.training.policy.recordings import MAX_NEW_TOKENS, TrainingPlace, record_one
from engine.types import CompletionRequest, FinishReason, Phase, ProjectDocument, PromptOptions
from tests.engine.training.fakes import LetterTokenization
from tests.engine.training.policy.fakes import CHECK_LAYERS, tiny_loaded

POINT = OperatingPoint(energy_weight=0.0, lossless=True)
PLAIN = replace(POINT, lookup=0)
FULL_DEPTH = EpisodeKind(energy_weight=0.0, may_stop=False, with_end_rules=True)


class Script(LetterTokenization):
    """Reads as text whatever the model says: one character of the script for each token."""

    def __init__(self, text: str) -> None:
        self._text = text

    def continuation(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> str:
        return self._text[: len(ids)]

    def token_texts(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> list[str]:
        return list(self._text[: len(ids)])


class Words(LetterTokenization):
    """Spells code of a kind with what the model says."""

    def continuation(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> str:
        return "".join("ab c_(x)\n    d.e=1, "[idx % 19] for idx in ids)

    def token_texts(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> list[str]:
        return [self.continuation(prompt_ids, [idx]) for idx in ids]


def scripted(text: str) -> LoadedModel:
    return replace(tiny_loaded(), tokenization=Script(text))  # type: ignore[arg-type]  # its methods are all that is used


def by_product(loaded: LoadedModel, prefix: str, n_tokens: int) -> str:
    engine = Engine(loaded)
    text = engine.complete(CompletionRequest(prefix=prefix, green_mode=0, max_new_tokens=n_tokens)).text
    engine.close()
    return text


def by_evaluation(loaded: LoadedModel, prefix: str, truth: str, n_tokens: int) -> tuple[str, int]:
    place = Place(
        language="python",
        file="a.py",
        kind="mid-line",
        seed=0,
        site=site_for(CompletionRequest(prefix=prefix)),
        truth=truth,
        reference=truth,
    )
    [full, *_] = all_arms(loaded.model.exit_layers, loaded.model.n_layers, None)
    cost = default_cost_model(loaded.model.geometry, "cpu")
    [run] = run_arms(TextDecoder(loaded), [place], [full], cost, max_new_tokens=n_tokens, with_oracle=False)
    return run.text, run.kept


def by_training(loaded: LoadedModel, prefix: str, truth: str) -> int:
    """Characters that the closed loop counts as kept."""
    cost = default_cost_model(loaded.model.geometry, "cpu")
    place = TrainingPlace(prefix=prefix, truth=truth)
    return play(TextDecoder(loaded), place, FullDepth(), kind=FULL_DEPTH, cost=cost, point=PLAIN).kept_chars


@pytest.mark.parametrize(
    ("prefix", "script", "expected"),
    [
        # ended by the limit: the last word may be half of one, and is left out
        ("def f(xs):\n    return ", " computeabcdfghijklnqrsvw", ""),
        ("def f(xs):\n    return ", " sum(xs) + comput", "sum(xs) +"),
        # ... unless the document knows it
        ("def total(xs):\n    return ", " total", "total"),
        # ended by its line: all of it is offered
        ("def f(xs):\n    return ", " compute\n", "compute"),
    ],
)
def test_product_evaluation_and_training_offer_the_same_text(prefix: str, script: str, expected: str) -> None:
    script = script[:MAX_NEW_TOKENS]
    loaded, truth, n_tokens = scripted(script), script[1:] + "er()\n", len(script)

    text, kept = by_evaluation(loaded, prefix, truth, n_tokens)

    assert by_product(loaded, prefix, n_tokens) == expected
    assert text == expected
    assert kept == kept_characters(expected, truth)


@pytest.mark.parametrize(
    ("script", "expected"),
    [(" computeabcdfghijklnqrsvw", 0), (" sum(xs) + " + "computed" * 2, 9), (" compute\n" + "x" * 16, 7)],
)
def test_training_counts_what_the_product_offers(script: str, expected: int) -> None:
    prefix = "def f(xs):\n    return "
    loaded, truth = scripted(script), script[1:] + "er()\n"
    made = record_one(TextDecoder(loaded), TrainingPlace(prefix=prefix, truth=truth), CHECK_LAYERS)

    assert made is not None
    assert by_training(loaded, prefix, truth) == made.kept_ruled[made.end] == expected
    assert kept_characters(by_product(loaded, prefix, MAX_NEW_TOKENS), truth) == expected


def test_a_recording_counts_for_each_length_what_a_stop_of_the_policy_would_leave() -> None:
    loaded = scripted(" sum(xs) + computed.all()")
    prefix = "def f(xs):\n    return "
    made = record_one(
        TextDecoder(loaded), TrainingPlace(prefix=prefix, truth="sum(xs) + computed.all()\n"), CHECK_LAYERS
    )

    assert made is not None
    # After " su" the word may go on; after " sum(" it cannot; after " sum(x" neither is `xs` known to be whole.
    assert made.kept_ruled[:7] == [0, 0, 0, 0, 0, 4, 4]


@pytest.mark.parametrize("seed", range(12))
def test_at_random_places_all_three_agree(seed: int) -> None:
    rng = random.Random(seed)
    loaded = replace(tiny_loaded(), tokenization=Words())  # type: ignore[arg-type]  # its methods are all that is used
    prefix = (
        "def f(a, b):\n    " + "".join(rng.choice("ab c_(x)\n    d.e=1, ") for _ in range(40)) + rng.choice(" \n(x")
    )
    product = by_product(loaded, prefix, MAX_NEW_TOKENS)
    truth = product + rng.choice(["", "x", "\n"]) + " more"

    text, kept = by_evaluation(loaded, prefix, truth, MAX_NEW_TOKENS)

    assert text == product
    assert by_training(loaded, prefix, truth) == kept == kept_characters(product, truth)


def test_a_text_that_repeats_itself_is_ended_before_its_limit_and_offered_once() -> None:
    loaded = scripted(" total(items), total(items), total(items), total(items), total(items), total(items)")
    prefix = "def f(items):\n    return "
    engine = Engine(loaded)
    completion = engine.complete(CompletionRequest(prefix=prefix, green_mode=0, max_new_tokens=80))
    text, kept = by_evaluation(loaded, prefix, "total(items), max(items)\n", 80)

    assert completion.finish_reason is FinishReason.REPETITION
    assert len(completion.tokens) < 60
    assert completion.text == text == "total(items)"
    assert kept == len("total(items)")


class Infilling(LetterTokenization):
    """Knows control tokens for filling in the middle; one token each."""

    control_ids: ClassVar = {"<|fim_prefix|>": 90, "<|fim_suffix|>": 91, "<|fim_middle|>": 92}

    def encode_parts(self, parts: Sequence[str]) -> list[int]:
        ids = self.encode(parts[0])
        for control, text in zip(parts[1::2], parts[2::2], strict=True):
            ids += [self.control_ids[control], *self.encode(text)]
        return ids


def test_evaluation_and_training_read_both_sides_of_the_cursor_where_the_product_does() -> None:
    loaded = replace(tiny_loaded(), tokenization=Infilling())  # type: ignore[arg-type]  # its methods are all that is used
    request = CompletionRequest(prefix="x = [", suffix="]\ny = 2\n", max_new_tokens=4, green_mode=0)
    engine = Engine(loaded)

    ids = TextDecoder(loaded).prompt_ids(site_for(request), max_new_tokens=4)

    assert engine.complete(request).prompt_tokens == len(ids) == len("x = [") + len("]\ny = 2\n") + 3


def test_a_prompt_leaves_room_for_the_answer() -> None:
    loaded = tiny_loaded()
    site = replace(
        site_for(CompletionRequest(prefix="x" * 4000, prompt=PromptOptions(window_chars=4000))), is_ruled=False
    )

    run = TextDecoder(loaded).at(site, max_new_tokens=8)

    assert len(run.prompt_ids) == loaded.model.max_positions - 8
    assert len(run.decode(FullDepth(), POINT, max_new_tokens=8).token_ids) == 8


def test_without_a_shape_nothing_is_cut_off() -> None:
    site = replace(site_for(CompletionRequest(prefix="x = ")), is_ruled=False)

    assert offered(site, " foo\n\n\nba", FinishReason.LENGTH) == "foo\n\n\nba"


def test_nothing_is_offered_once_it_is_cancelled() -> None:
    assert not offered(site_for(CompletionRequest(prefix="x = ")), " foo\n", FinishReason.CANCELLED)


@pytest.mark.parametrize(
    ("prefix", "raw", "expected"),
    [
        ("x = ", " y\n", ""),
        ("x = ", " 1\n", ""),
        ("retur", "return", ""),
        ("x =", " = 1\n", " 1"),
        ("retu", "return", "rn"),
        ("caf", "café\n", "é"),
        ("x = '", " '数\n", "数"),
    ],
)
def test_what_is_typed_with_one_key_is_not_offered(prefix: str, raw: str, expected: str) -> None:
    assert offered(site_for(CompletionRequest(prefix=prefix)), raw, FinishReason.STOP) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("a = self.left\n    b = self.ri", "a = self.left"),
        ("a = self.left\n    b = self.right\n", "a = self.left\n    b = self.right"),
        ("a = self.left + self.right", "a = self.left + self.right"),
        ("a = [\n        1,\n        2, ", "a = [\n        1,"),
    ],
)
def test_a_line_that_the_limit_cut_is_not_offered_behind_whole_ones(raw: str, expected: str) -> None:
    prefix = "right = 1\n\ndef f(self):\n    "
    site = site_for(CompletionRequest(prefix=prefix, language_id="python", single_line=False))

    assert offered(site, site.prompt.typed + raw, FinishReason.LENGTH) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("config.set(" + "config.get(" * 5 + "config.g", "config.set(config.get"),
        ("Spliterator#SUPER_" + "SUPER_" * 9, "Spliterator#"),
        ("Prints the name" + " of the same module" * 3, "Prints the name of the same module"),
    ],
)
def test_of_a_loop_that_cuts_a_word_whole_words_are_offered(raw: str, expected: str) -> None:
    site = site_for(CompletionRequest(prefix="x = ", language_id="python"))

    assert ended_by_rules(site, " " + raw) is FinishReason.REPETITION
    assert offered(site, " " + raw, FinishReason.REPETITION) == expected


def test_of_who_types_on_the_model_reads_what_was_typed_alone() -> None:
    engine, options = Engine(tiny_loaded()), PromptOptions(window_chars=220)
    document = "".join(f"a{number}\n" for number in range(400))

    read = [
        engine.complete(CompletionRequest(prefix=document[:end], prompt=options, max_new_tokens=1))
        .work[Phase.PREFILL]
        .prefill_tokens
        for end in range(600, 1000, 4)
    ]
    engine.close()

    assert [n_tokens for n_tokens in read if n_tokens > 10][1:] == pytest.approx([200], abs=30)


def test_a_window_that_no_cache_holds_any_more_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.text.DecoderPool", partial(DecoderPool, budget_bytes=0))
    texts, options = TextDecoder(tiny_loaded(), keeps_rows=True), PromptOptions(window_chars=220)
    document = "".join(f"a{number}\n" for number in range(400))

    def read(prefix: str) -> int:
        run = texts.for_request(CompletionRequest(prefix=prefix, prompt=options), POINT)
        run.decode(FullDepth(), POINT, max_new_tokens=1)
        return len(run.prompt_ids)

    alone, grown = read(document[:1000]), read(document[:1100])
    read("b" * 200)

    assert grown == alone + 100
    assert read(document[:1100]) <= options.window_chars


def test_where_a_project_knows_the_rest_less_of_the_window_is_read() -> None:
    texts, options = TextDecoder(tiny_loaded()), PromptOptions(window_chars=220)
    request = CompletionRequest(
        prefix="a1 = 2\n" * 100, prompt=options, in_project=ProjectDocument(project="p", file="a")
    )
    green = replace(POINT, window_share=0.5)

    alone = texts.n_unread(request, green)
    texts.projects.text("p").replace("b", "b1 = 3\n" * 20)

    assert texts.n_unread(request, green) < 0.7 * alone
    assert len(texts.for_request(request, green).prompt_ids) == texts.n_unread(request, green)
    assert texts.n_unread(request, POINT) == alone
    assert texts.n_unread(replace(request, in_project=None), green) == alone
