"""Completion inside a word, with a real tokenizer of few tokens and a tiny model."""

from dataclasses import replace

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from engine.completion.site import site_for
from engine.engine import Engine
from engine.model.loaded import LoadedModel
from engine.model.tokenization import Tokenization
from engine.policy.base import OperatingPoint
from engine.policy.baselines import FixedExit, FullDepth
from engine.text import TextDecoder
from engine.types import CompletionRequest, FinishReason
from tests.engine.training.fakes import ACCOUNT, code, tiny_loaded
from tests.tiny_models import early_exit_model, tiny_model

LOSSLESS = OperatingPoint(energy_weight=0.0, lossless=True)
LOSSY = OperatingPoint(energy_weight=0.5, lossless=False)
DOCUMENT = code("alpha", 4) + "def größe(balance, account):\n    return "


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=alphabet, special_tokens=["<|end|>"], show_progress=False
    )
    tokenizer.train_from_iterator([code("alpha", 40), code("balance", 40), DOCUMENT] * 4, trainer)
    model = early_exit_model(tiny_model("llama", vocab_size=tokenizer.get_vocab_size()))
    return replace(tiny_loaded(), model=model, tokenization=Tokenization(tokenizer, [0]))


@pytest.mark.parametrize("word", ["balance", "account", "value_alpha", "größe", "Xylo", "zzz_zzz_zzz_zzz_"])
@pytest.mark.parametrize(
    ("policy", "point"), [(FullDepth(), LOSSLESS), (FixedExit(3), LOSSY)], ids=["lossless", "early"]
)
def test_what_is_decoded_begins_with_what_is_typed(
    loaded: LoadedModel, word: str, policy: FullDepth | FixedExit, point: OperatingPoint
) -> None:
    texts = TextDecoder(loaded)
    for n_typed in range(1, len(word) + 1):
        site = replace(site_for(CompletionRequest(prefix=DOCUMENT + word[:n_typed])), is_ruled=False)
        run = texts.at(site, max_new_tokens=16)
        shown: list[str] = []

        decoded = run.decode(policy, point, max_new_tokens=16, on_text=shown.append)

        assert decoded.raw.startswith(f" {word[:n_typed]}")
        assert decoded.text == decoded.raw[1 + n_typed :]
        assert all(decoded.text.startswith(part) for part in shown)


@pytest.mark.parametrize(
    ("policy", "point"), [(FullDepth(), LOSSLESS), (FixedExit(3), LOSSY)], ids=["lossless", "early"]
)
@pytest.mark.parametrize("may_give_up", [True, False])
def test_a_word_that_could_be_too_many_others_is_given_up(
    loaded: LoadedModel,
    policy: FullDepth | FixedExit,
    point: OperatingPoint,
    monkeypatch: pytest.MonkeyPatch,
    *,
    may_give_up: bool,
) -> None:
    texts = TextDecoder(loaded)
    for n_typed in range(8):
        request = CompletionRequest(prefix=DOCUMENT + "balance"[:n_typed], may_give_up=may_give_up)
        run = texts.at(site_for(request), max_new_tokens=8)
        monkeypatch.setattr("engine.completion.site._LEAST_CHANCE", 0.0)
        sure = run.decode(policy, point, max_new_tokens=8)
        monkeypatch.setattr("engine.completion.site._LEAST_CHANCE", 1.01)
        unsure = run.decode(policy, point, max_new_tokens=8)

        assert sure.finish_reason is not FinishReason.DOUBT
        if n_typed or (may_give_up and not point.lossless):
            assert (unsure.text, unsure.finish_reason, unsure.n_decoded) == ("", FinishReason.DOUBT, 1)
        else:  # lossless text is full depth's, and who asks by hand sees it
            assert unsure == replace(sure, work=unsure.work, reused_tokens=unsure.reused_tokens)


@pytest.mark.model
@pytest.mark.parametrize("typed", ["am", "amou", "self.ba"])
def test_the_real_model_says_words_that_it_is_sure_of(engine: Engine, typed: str) -> None:
    completion = engine.complete(CompletionRequest(prefix=ACCOUNT + typed, suffix="\n", language_id="python"))

    assert (typed + completion.text).startswith(("amount", "self.balance"))


@pytest.mark.model
@pytest.mark.parametrize("green_mode", [0, 20])
def test_the_real_model_says_nothing_where_many_words_may_follow(engine: Engine, green_mode: int) -> None:
    request = CompletionRequest(prefix=ACCOUNT + "co", suffix="\n", language_id="python", green_mode=green_mode)

    completion = engine.complete(request)

    assert (completion.text, completion.finish_reason) == ("", FinishReason.DOUBT)


def test_while_a_word_is_typed_the_prompt_stays_in_the_cache(loaded: LoadedModel) -> None:
    engine = Engine(loaded)
    completions = [
        engine.complete(CompletionRequest(prefix=DOCUMENT + "balance"[:n_typed], green_mode=0, max_new_tokens=4))
        for n_typed in range(8)
    ]

    assert completions[0].reused_tokens == 0
    for completion in completions[1:]:
        assert (completion.reused_tokens or 0) >= (completions[0].prompt_tokens or 0) - 1


def test_finished_parts_of_a_name_are_read_and_not_said_again(loaded: LoadedModel) -> None:
    texts = TextDecoder(loaded)
    site = site_for(CompletionRequest(prefix=DOCUMENT + "value_alp"))

    read = loaded.tokenization.tokenizer.decode(texts.prompt_ids(site, max_new_tokens=4))

    assert read.endswith("    return value_")


def test_the_first_word_of_a_document_is_completed_as_well(loaded: LoadedModel) -> None:
    run = TextDecoder(loaded).at(site_for(CompletionRequest(prefix="bal")), max_new_tokens=4)

    decoded = run.decode(FullDepth(), LOSSLESS, max_new_tokens=4)

    assert run.prompt_ids == [0]
    assert decoded.raw.startswith("bal")


def test_a_word_with_letters_behind_the_cursor_is_left_alone(loaded: LoadedModel) -> None:
    request = CompletionRequest(prefix=DOCUMENT + "bal", suffix="ance\n", max_new_tokens=4, green_mode=0)

    completion = Engine(loaded).complete(request)

    assert completion.text == ""
    assert completion.finish_reason is not FinishReason.CANCELLED
