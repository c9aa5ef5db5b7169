"""Decoding behind typed letters, against a plain reading of the rule with transformers' own forward pass."""

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import pytest
import torch

from engine.decoding.decoder import Decoder
from engine.decoding.healing import Constraint, Healing
from engine.decoding.stopping import StopCondition, no_doubt
from engine.model.early_exit import EarlyExitModel
from engine.model.families import FAMILIES
from engine.model.vocabulary import Vocabulary
from engine.policy.base import Action, ExitPolicy, Fill, OperatingPoint
from engine.policy.baselines import ConfidenceThreshold, FixedExit, FullDepth
from engine.types import CancellationToken, FinishReason, NeverCancelled, Precision
from tests.engine.decoding.fakes import CancelAfter, RandomPolicy
from tests.engine.decoding.test_decoder import PROMPT
from tests.engine.model.fast_models import prepared, small_model, with_exits
from tests.tiny_models import early_exit_model, greedy, tiny_model

LOSSLESS = OperatingPoint(energy_weight=0.0, lossless=True)
LOSSY = OperatingPoint(energy_weight=0.5, lossless=False)
PROPAGATE = OperatingPoint(energy_weight=1.0, lossless=False, fill=Fill.PROPAGATE)
REPEATING = [5, 17, 3, 88, 42, 5, 17, 3, 88, 42, 5, 17, 3]

# The 97 tokens of the tiny models spell texts of three letters, most of them in several ways.
_SPELLINGS = [bytes(text) for length in (1, 2, 3, 4) for text in itertools.product(b"abc", repeat=length)]
VOCABULARY = Vocabulary(dict(enumerate(random.Random(0).sample(_SPELLINGS, 97))) | dict(enumerate([b"a", b"b", b"c"])))


def spelled(token_ids: Sequence[int]) -> bytes:
    return b"".join(VOCABULARY[token_id] for token_id in token_ids)


def cuts(typed: bytes, *, seed: int = 0) -> set[tuple[int, int]]:
    """Some tokens that `typed` may be cut into; single letters among them, so that any text can be spelled."""
    rng = random.Random(seed)
    pieces = [
        (start, token_id)
        for start in range(len(typed))
        for token_id in range(97)
        if typed.startswith(VOCABULARY[token_id], start) and start + len(VOCABULARY[token_id]) < len(typed)
    ]
    return {piece for piece in pieces if len(VOCABULARY[piece[1]]) == 1 or rng.random() < 0.5}


def decode(
    model: EarlyExitModel,
    constraint: Constraint | None,
    *,
    policy: ExitPolicy | None = None,
    point: OperatingPoint = LOSSLESS,
    prompt: list[int] = PROMPT,
    cancellation: CancellationToken | None = None,
    decoder: Decoder | None = None,
    doubt: Callable[[Sequence[int], Mapping[int, float]], bool] = no_doubt,
) -> list[int]:
    tokens = (decoder or Decoder(model)).generate(
        prompt,
        policy=policy or FullDepth(),
        point=point,
        stop=StopCondition(max_new_tokens=12, doubt=doubt),
        cancellation=cancellation or NeverCancelled(),
        constraint=constraint,
    )
    return [token.token_id for token in tokens]


def healed_by_hand(family: str, seed: int, prompt: list[int], typed: bytes, pieces: set[tuple[int, int]]) -> list[int]:
    """The best token that agrees with what is typed, one after the other, with nothing kept between two of them."""
    model, said = tiny_model(family, seed), list[int]()
    while len(said) < 12:
        done = len(spelled(said))
        rest = typed[done:]
        agree = [idx for idx in range(97) if not rest or VOCABULARY[idx].startswith(rest) or (done, idx) in pieces]
        with torch.inference_mode():
            logits = model(torch.tensor([[*prompt, *said]])).logits[0, -1]
        said.append(max(agree, key=lambda idx: float(logits[idx])))
    return said


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("typed", [b"a", b"cab", b"ccbbaaccb"])
@pytest.mark.parametrize("prompt", [PROMPT, REPEATING])
class TestEveryFamily:
    def test_the_best_token_that_agrees_is_chosen(self, family: str, typed: bytes, prompt: list[int]) -> None:
        model, pieces = early_exit_model(tiny_model(family)), cuts(typed)

        ids = decode(model, Healing(VOCABULARY, typed, pieces), prompt=prompt)

        assert ids == healed_by_hand(family, 0, prompt, typed, pieces)
        assert spelled(ids).startswith(typed)

    @pytest.mark.parametrize("seed", range(2))
    def test_lossless_means_full_depth_under_the_same_constraint(
        self, family: str, typed: bytes, prompt: list[int], seed: int
    ) -> None:
        model, healing = early_exit_model(tiny_model(family)), Healing(VOCABULARY, typed, cuts(typed))
        policy = RandomPolicy(seed, (Action.CONTINUE, Action.EXIT, Action.VERIFY))

        drafted = decode(model, healing, policy=policy, prompt=prompt)

        assert drafted == decode(model, healing, prompt=prompt)

    @pytest.mark.parametrize("policy", [FixedExit(3), ConfidenceThreshold(0.3), RandomPolicy(1, tuple(Action)[:3])])
    @pytest.mark.parametrize("point", [LOSSY, PROPAGATE])
    def test_exits_agree_with_what_is_typed(
        self, family: str, typed: bytes, prompt: list[int], policy: ExitPolicy, point: OperatingPoint
    ) -> None:
        model, healing = early_exit_model(tiny_model(family)), Healing(VOCABULARY, typed, cuts(typed))

        ids = decode(model, healing, policy=policy, point=point, prompt=prompt)

        assert spelled(ids).startswith(typed)


@pytest.mark.parametrize("typed", [b"a", b"ccbbaaccb"])
@pytest.mark.parametrize("prompt", [PROMPT, REPEATING])
@pytest.mark.parametrize("n_tokens", [1, 3, 6])
def test_who_may_doubt_hears_the_chance_of_each_token_among_those_that_agree(
    typed: bytes, prompt: list[int], n_tokens: int
) -> None:
    backbone, pieces = tiny_model("llama"), cuts(typed)
    heard: list[float] = []

    def doubt(token_ids: Sequence[int], chances: Mapping[int, float]) -> bool:
        heard[:] = [chances[index] for index in range(len(token_ids))]
        return len(token_ids) == n_tokens

    model = early_exit_model(backbone)
    decoder = Decoder(model)
    ids = decode(model, Healing(VOCABULARY, typed, pieces), prompt=prompt, decoder=decoder, doubt=doubt)

    assert decoder.finish_reason is FinishReason.DOUBT
    assert len(ids) == len(heard) == n_tokens
    for n_said, (token_id, chance) in enumerate(zip(ids, heard, strict=True)):
        done = len(spelled(ids[:n_said]))
        rest = typed[done:]
        agree = [idx for idx in range(97) if not rest or VOCABULARY[idx].startswith(rest) or (done, idx) in pieces]
        with torch.inference_mode():
            logits = backbone(torch.tensor([[*prompt, *ids[:n_said]]])).logits[0, -1, agree]
        assert chance == pytest.approx(float(logits.softmax(-1)[agree.index(token_id)]), rel=1e-4)


def test_without_letters_typed_there_are_no_chances() -> None:
    heard: list[int] = []

    def doubt(_token_ids: Sequence[int], chances: Mapping[int, float]) -> bool:
        heard.append(len(chances))
        return False

    assert len(decode(early_exit_model(tiny_model("llama")), None, doubt=doubt)) == 12
    assert set(heard) == {0}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(2))
def test_who_types_what_the_model_would_have_said_gets_the_rest_of_it(family: str, seed: int) -> None:
    backbone = tiny_model(family, seed)
    said = greedy(backbone, PROMPT, 12)
    starts = list(accumulate((len(VOCABULARY[idx]) for idx in said), initial=0))
    model, text = early_exit_model(backbone), spelled(said)

    for n_bytes in range(12):
        pieces = {(start, idx) for start, end, idx in zip(starts, starts[1:], said, strict=False) if end < n_bytes}
        assert decode(model, Healing(VOCABULARY, text[:n_bytes], pieces)) == said


@pytest.mark.parametrize("precision", ["fp32", "int8", "int4"])
def test_the_fast_runners_obey_as_well(precision: Precision, own_cache: Path) -> None:
    small = small_model("llama", hidden_size=128, intermediate_size=192)  # as the native kernels want them
    model = prepared(with_exits(small, shortlist=torch.tensor([3, 8, 60])), precision)
    for typed in (b"b", b"abca", b"cccbbbaaa"):
        healing = Healing(VOCABULARY, typed, cuts(typed))

        full = decode(model, healing)
        drafted = decode(model, healing, policy=RandomPolicy(2, (Action.CONTINUE, Action.EXIT, Action.VERIFY)))
        early = decode(model, healing, policy=FixedExit(2), point=LOSSY)

        assert drafted == full
        assert spelled(full).startswith(typed)
        assert spelled(early).startswith(typed)


@pytest.mark.parametrize("n_questions", range(0, 30, 3))
def test_it_can_be_cancelled_among_the_typed_letters(n_questions: int) -> None:
    model = early_exit_model(tiny_model("llama"))
    decoder, healing = Decoder(model), Healing(VOCABULARY, b"abcabcabc", cuts(b"abcabcabc"))

    part = decode(model, healing, decoder=decoder, cancellation=CancelAfter(n_questions))
    whole = decode(model, healing, decoder=decoder)

    assert part == whole[: len(part)]
    assert decoder.finish_reason is FinishReason.LENGTH
    assert whole == decode(model, healing)


def test_letters_that_no_token_spells_are_known_as_such() -> None:
    assert not Healing(VOCABULARY, b"abd", cuts(b"ab")).is_possible
    assert Healing(VOCABULARY, b"abcabc", cuts(b"abcabc")).is_possible
