import random
from collections.abc import Callable, Sequence

import pytest

from engine.decoding.decoder import Decoder
from engine.decoding.lookup import lookup_draft
from engine.decoding.stopping import StopCondition
from engine.model.layer_runner import Array
from engine.policy.base import Action, ExitCandidate, OperatingPoint
from engine.policy.baselines import FixedExit, FullDepth
from engine.types import FinishReason, NeverCancelled, Phase
from tests.tiny_models import early_exit_model, greedy, tiny_model

PROMPT = [5, 17, 3, 88, 42, 9, 9, 61, 30, 12, 77, 2]


def test_a_draft_is_what_followed_the_longest_end_of_the_text_that_stood_before() -> None:
    assert lookup_draft([1, 2, 3, 7, 8, 9, 2, 3, 5, 1, 2, 3], 2) == [7, 8]  # "1 2 3", not the later "2 3"


def test_of_equal_ends_the_latest_is_taken() -> None:
    assert lookup_draft([4, 5, 1, 4, 5, 2, 4, 5], 1) == [2]


def test_a_draft_is_no_longer_than_asked() -> None:
    repeated = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert lookup_draft([*repeated, 1, 2, 3, 4, 5], 2) == [6, 7]
    assert lookup_draft([*repeated, 1, 2, 3, 4, 5], 1) == [6]


def test_the_more_agrees_the_longer_the_draft() -> None:
    repeated = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    lengths = [len(lookup_draft([*repeated, *range(1, n + 1)], 9)) for n in range(1, 6)]
    assert lengths == sorted(lengths)
    assert lengths[0] >= 1
    assert lengths[-1] > lengths[0]


@pytest.mark.parametrize(("ids", "n_tokens"), [([], 4), ([1], 4), ([1, 2, 3], 4), ([1, 2, 3, 1, 2], 0)])
def test_no_draft_where_nothing_was_said_before(ids: list[int], n_tokens: int) -> None:
    assert lookup_draft(ids, n_tokens) == []


@pytest.mark.parametrize("lookup", [1, 4, 9])
def test_accepted_drafts_save_passes_and_change_no_token(lookup: int) -> None:
    model = tiny_model("llama", seed=2)  # one that repeats itself
    drafted, alone = Decoder(early_exit_model(model)), Decoder(early_exit_model(model))
    stop = StopCondition(max_new_tokens=80)

    tokens = _ids(drafted, FullDepth(), lossless=True, lookup=lookup, stop=stop)

    assert tokens == _ids(alone, FullDepth(), lossless=True, lookup=0, stop=stop) == greedy(model, PROMPT, 80)
    assert _passes(drafted) < 0.8 * _passes(alone)


@pytest.mark.parametrize("n_new", [71, 72, 76, 79])  # where it is drafting
def test_drafts_end_where_the_models_positions_end(n_new: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = early_exit_model(tiny_model("llama", seed=2, max_position_embeddings=len(PROMPT) + n_new))
    embed, ends = model.embed, []

    def noted(token_ids: Sequence[int], position: int) -> Array:
        ends.append(position + len(token_ids))
        return embed(token_ids, position)

    monkeypatch.setattr(model, "embed", noted)
    tokens = _ids(Decoder(model), FullDepth(), lossless=True, lookup=9, stop=StopCondition(max_new_tokens=n_new))

    assert len(tokens) == n_new
    assert max(ends) <= len(PROMPT) + n_new


@pytest.mark.parametrize("exit_layer", [2, 4])
def test_drafts_that_an_exit_agrees_with_save_passes_and_change_no_token(exit_layer: int) -> None:
    model = early_exit_model(tiny_model("llama", seed=2), exit_layers=(2, 4))
    drafted, alone = Decoder(model), Decoder(model)
    stop = StopCondition(max_new_tokens=80)

    tokens = _ids(drafted, FixedExit(exit_layer), lossless=False, lookup=4, stop=stop)

    assert tokens == _ids(alone, FixedExit(exit_layer), lossless=False, lookup=0, stop=stop)
    assert _passes(drafted) < _passes(alone)


def test_text_ends_inside_an_accepted_draft_and_the_next_request_is_sound() -> None:
    model = tiny_model("llama", seed=2)
    expected = greedy(model, PROMPT, 80)
    decoder = Decoder(early_exit_model(model))

    for n_tokens in range(40, 80, 3):
        stop = StopCondition(max_new_tokens=80, rule=_at(n_tokens))
        tokens = _ids(decoder, FullDepth(), lossless=True, lookup=9, stop=stop)

        assert tokens == expected[:n_tokens]
        assert decoder.finish_reason is FinishReason.STOP


class _Random:
    """Exits, goes on, verifies at random, whatever is drafted."""

    name = "random"

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def decide(self, candidate: ExitCandidate) -> Action:
        return self._random.choice((Action.CONTINUE, Action.EXIT, Action.EXIT, Action.VERIFY))


@pytest.mark.parametrize("seed", range(8))
def test_lossless_stays_lossless_with_drafts_of_both_kinds_and_ends_anywhere(seed: int) -> None:
    model = tiny_model("llama", seed % 3)
    expected = greedy(model, PROMPT, 80)
    decoder = Decoder(early_exit_model(model, exit_layers=(1, 2, 4)))

    for n_tokens in (3, 17, 80):
        stop = StopCondition(max_new_tokens=n_tokens)
        assert _ids(decoder, _Random(seed), lossless=True, lookup=5, stop=stop) == expected[:n_tokens]


def _ids(
    decoder: Decoder,
    policy: FixedExit | FullDepth | _Random,
    *,
    lossless: bool,
    lookup: int,
    stop: StopCondition | None = None,
) -> list[int]:
    point = OperatingPoint(energy_weight=0.0 if lossless else 0.5, lossless=lossless, lookup=lookup, max_waiting=199)
    stop = stop or StopCondition(max_new_tokens=40)
    stream = decoder.generate(PROMPT, policy=policy, point=point, stop=stop, cancellation=NeverCancelled())
    return [token.token_id for token in stream]


def _passes(decoder: Decoder) -> int:
    return decoder.work.by_phase()[Phase.DECODE].layer_passes


def _at(n_tokens: int) -> Callable[[Sequence[int]], FinishReason | None]:
    """The rule that ends a text at so many tokens."""
    return lambda ids: FinishReason.STOP if len(ids) == n_tokens else None
