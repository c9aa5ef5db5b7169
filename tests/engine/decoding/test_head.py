"""Where a short list is asked first, what it says is what the whole head says."""

import random
from collections import deque
from collections.abc import Mapping, Sequence

import pytest
import torch

from engine.decoding.decoder import Decoder
from engine.decoding.stopping import StopCondition
from engine.decoding.tokens import DecodedToken
from engine.model.early_exit import EarlyExitModel
from engine.policy.base import PLAIN_DECODING, Action, ExitPolicy, Fill, OperatingPoint
from engine.policy.baselines import FixedExit, FullDepth
from engine.types import NeverCancelled, Phase
from tests.engine.decoding.fakes import CancelAfter, RandomPolicy
from tests.engine.decoding.test_decoder import PROMPT
from tests.engine.decoding.test_project_exit import OnlyFirst
from tests.engine.model.fast_models import prepared, small_model, with_exits
from tests.tiny_models import early_exit_model, tiny_model

LOSSY = OperatingPoint(energy_weight=0.5, lossless=False)
WITHOUT_DRAFTS = OperatingPoint(energy_weight=0.5, lossless=False, lookup=0)
PROPAGATE = OperatingPoint(energy_weight=1.0, lossless=False, fill=Fill.PROPAGATE, lookup=0)
SHORTLISTS = [torch.tensor(sorted(random.Random(n).sample(range(97), n))) for n in (3, 30, 90)]


def decode(model: EarlyExitModel, policy: ExitPolicy, point: OperatingPoint, n_tokens: int = 24) -> list[DecodedToken]:
    return list(
        Decoder(model).generate(
            PROMPT,
            policy=policy,
            point=point,
            stop=StopCondition(max_new_tokens=n_tokens),
            cancellation=NeverCancelled(),
        )
    )


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma3_text"])
@pytest.mark.parametrize("shortlist", SHORTLISTS, ids=len)
@pytest.mark.parametrize("policy", [FullDepth(), FixedExit(2), FixedExit(4)], ids=lambda policy: policy.name)
@pytest.mark.parametrize("point", [LOSSY, WITHOUT_DRAFTS], ids=["drafts", "no drafts"])
@pytest.mark.parametrize("n_tokens", [1, 4, 23])
def test_each_token_is_the_choice_of_the_whole_head_where_it_left(
    family: str, shortlist: torch.Tensor, policy: ExitPolicy, point: OperatingPoint, n_tokens: int
) -> None:
    plain = early_exit_model(tiny_model(family), (2, 4))

    tokens = decode(with_exits(plain, shortlist=shortlist), policy, point, n_tokens)

    said = list(PROMPT)
    for token in tokens:
        rows = plain.run_layers(plain.embed(said, 0), 0, token.exit_layer, plain.new_cache())
        logits = plain.logits(plain.exit_state(rows[:, -1:], token.exit_layer), token.exit_layer)
        assert plain.choices(logits) == [token.token_id]
        said.append(token.token_id)
    assert len(tokens) == n_tokens


@pytest.mark.parametrize(
    ("policy", "point"), [(FullDepth(), LOSSY), (FullDepth(), PROPAGATE), (FixedExit(4), PROPAGATE)]
)
@pytest.mark.parametrize("n_tokens", [1, 4, 23])
def test_text_is_that_of_a_model_without_a_short_list(policy: ExitPolicy, point: OperatingPoint, n_tokens: int) -> None:
    plain = early_exit_model(tiny_model("llama"), (2, 4))

    listed = decode(with_exits(plain, shortlist=SHORTLISTS[0]), policy, point, n_tokens)

    assert listed == decode(plain, policy, point, n_tokens)


@pytest.mark.parametrize("family", ["llama", "gemma3_text"])
@pytest.mark.parametrize("shortlist", SHORTLISTS, ids=len)
@pytest.mark.parametrize("lookup", [0, 8])
@pytest.mark.parametrize("n_tokens", [1, 4, 23])
def test_lossless_text_is_full_depths_where_the_short_list_is_asked_first(
    family: str, shortlist: torch.Tensor, lookup: int, n_tokens: int
) -> None:
    plain = early_exit_model(tiny_model(family), (2, 4))
    full = decode(plain, FullDepth(), PLAIN_DECODING, n_tokens)
    listed = with_exits(plain, shortlist=shortlist)
    point = OperatingPoint(energy_weight=0.0, lossless=True, lookup=lookup)
    actions = (Action.CONTINUE, Action.EXIT, Action.VERIFY)

    policies: list[ExitPolicy] = [FullDepth(), FixedExit(2), FixedExit(4)]
    policies += (RandomPolicy(seed, actions) for seed in range(4))
    for policy in policies:
        assert [token.token_id for token in decode(listed, policy, point, n_tokens)] == [
            token.token_id for token in full
        ]


def test_the_fast_runner_says_what_its_whole_head_says(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = small_model("llama", hidden_size=128, intermediate_size=192)
    texts = []
    for model in (plain, with_exits(plain, shortlist=SHORTLISTS[1])):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        texts.append(decode(prepared(model, "int8"), FullDepth(), LOSSY))

    assert texts[0] == texts[1]


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_taken_back_that_was_given(seed: int) -> None:
    model = with_exits(early_exit_model(tiny_model("llama", seed), (2, 4)), shortlist=SHORTLISTS[1])
    for n_tokens in range(1, 20):
        actions = (Action.CONTINUE, Action.EXIT, Action.VERIFY, Action.STOP)

        tokens = decode(model, RandomPolicy(seed, actions), LOSSY, n_tokens)

        assert len(tokens) <= n_tokens


@pytest.mark.parametrize("n_questions", range(0, 40, 5))
def test_a_cancelled_text_is_a_beginning_of_the_whole(n_questions: int) -> None:
    model = with_exits(early_exit_model(tiny_model("llama"), (2, 4)), shortlist=SHORTLISTS[1])
    stream = Decoder(model).generate(
        PROMPT,
        policy=FixedExit(4),
        point=LOSSY,
        stop=StopCondition(max_new_tokens=24),
        cancellation=CancelAfter(n_questions),
    )

    part = list(stream)

    assert part == decode(model, FixedExit(4), LOSSY)[: len(part)]


@pytest.mark.parametrize("keeps_rows", [False, True])
def test_lossless_text_costs_less_of_the_head_where_the_short_list_was_right_before(*, keeps_rows: bool) -> None:
    plain = early_exit_model(tiny_model("llama"), (2, 4))
    everything = with_exits(plain, shortlist=torch.arange(97))
    decoder = Decoder(everything, keeps_rows=keeps_rows)
    judged = []
    for _ in range(2):
        deque(
            decoder.generate(
                PROMPT,
                policy=FullDepth(),
                point=OperatingPoint(energy_weight=0.0, lossless=True, lookup=0),
                stop=StopCondition(max_new_tokens=16),
                cancellation=NeverCancelled(),
            ),
            maxlen=0,
        )
        judged.append(decoder.work.by_phase()[Phase.VERIFICATION].head_passes)

    assert judged == ([2, 1] if keeps_rows else [2, 2])


@pytest.mark.parametrize("lookup", [0, 8])
def test_inside_a_word_the_chances_of_lossless_text_are_those_of_the_whole_head(lookup: int) -> None:
    plain = early_exit_model(tiny_model("llama"), (2, 4))
    listed = with_exits(plain, shortlist=SHORTLISTS[1])

    assert chances(listed, OperatingPoint(energy_weight=0.0, lossless=True, lookup=lookup)) == chances(
        plain, PLAIN_DECODING
    )


def chances(model: EarlyExitModel, point: OperatingPoint) -> list[list[float]]:
    """The chance of each token so far, as who may give up the text hears of it after each token."""
    heard: dict[int, list[float]] = {}

    def hear(token_ids: Sequence[int], chances: Mapping[int, float]) -> bool:
        heard.setdefault(len(token_ids), [round(chances[index], 4) for index in range(len(token_ids))])
        return False

    text = Decoder(model).generate(
        PROMPT,
        policy=FullDepth(),
        point=point,
        stop=StopCondition(max_new_tokens=8, doubt=hear),
        cancellation=NeverCancelled(),
        constraint=OnlyFirst(90),
    )
    deque(text, maxlen=0)
    return [heard[n_tokens] for n_tokens in range(1, 9)]
