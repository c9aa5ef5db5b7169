"""What a former request has computed: the next says it again without a layer, and nothing else changes."""

import random
from collections.abc import Sequence

import numpy as np
import pytest

from engine.decoding.decoder import Decoder
from engine.decoding.healing import Constraint
from engine.decoding.stopping import StopCondition
from engine.policy.base import ExitPolicy, Fill, OperatingPoint
from engine.policy.baselines import FixedExit, FullDepth
from engine.types import NeverCancelled, Phase
from tests.tiny_models import early_exit_model, tiny_model

PROMPT = [5, 17, 3, 88, 42, 9, 9, 61, 30, 12, 77, 2]
POINT = OperatingPoint(energy_weight=0.5, lossless=False, lookup=0)
LOSSLESS = OperatingPoint(energy_weight=0.0, lossless=True)
PROPAGATE = OperatingPoint(energy_weight=1.0, lossless=False, fill=Fill.PROPAGATE)
WAYS: list[tuple[ExitPolicy, OperatingPoint]] = [
    (FullDepth(), POINT),
    (FullDepth(), LOSSLESS),
    (FixedExit(2), LOSSLESS),
    (FixedExit(2), POINT),
    (FixedExit(4), PROPAGATE),
]


class FromThen(Constraint):
    """Lets only one token be chosen in one place."""

    def __init__(self, place: int, token_id: int) -> None:
        self._place, self._token = place, np.array([token_id])

    def allowed(self, token_ids: Sequence[int]) -> "np.ndarray[tuple[int], np.dtype[np.int64]] | None":
        return self._token if len(token_ids) == self._place else None


def new_decoder(*, keeps_rows: bool = True) -> Decoder:
    return Decoder(early_exit_model(tiny_model("llama", 0)), keeps_rows=keeps_rows)


def say(
    decoder: Decoder,
    prompt: Sequence[int] = PROMPT,
    way: tuple[ExitPolicy, OperatingPoint] = WAYS[0],
    *,
    n_tokens: int = 8,
    constraint: Constraint | None = None,
) -> list[int]:
    tokens = decoder.generate(
        prompt,
        policy=way[0],
        point=way[1],
        stop=StopCondition(max_new_tokens=n_tokens),
        cancellation=NeverCancelled(),
        constraint=constraint,
    )
    return [token.token_id for token in tokens]


def layers_run(decoder: Decoder) -> int:
    work = decoder.work.by_phase().values()
    return sum(part.layer_tokens + part.prefill_tokens for part in work)


@pytest.mark.parametrize("way", WAYS[:3], ids=lambda way: f"{way[0].name}, lossless {way[1].lossless}")
def test_who_asks_again_hears_the_same_and_no_layer_runs(way: tuple[ExitPolicy, OperatingPoint]) -> None:
    decoder = new_decoder()
    first = say(decoder, way=way)

    assert say(decoder, way=way) == first
    assert layers_run(decoder) == 0
    assert decoder.work.by_phase()[Phase.DECODE].head_passes > 0


def test_what_was_said_may_be_gone_on_with() -> None:
    decoder = new_decoder()
    said = say(decoder, n_tokens=4)

    longer = say(decoder, n_tokens=8)

    assert longer == say(new_decoder(), n_tokens=8)
    assert longer[:4] == said
    # The row of the fourth token had not run: it and those behind it do.
    assert layers_run(decoder) == 6 * 4


def test_where_letters_disagree_it_is_computed_from_there_on() -> None:
    decoder = new_decoder()
    said = say(decoder)
    other = FromThen(3, (said[3] + 1) % 90)

    again = say(decoder, constraint=other)

    assert again == say(new_decoder(), constraint=other)
    assert again[:3] == said[:3]
    assert layers_run(decoder) == 6 * 4


def test_the_text_that_was_said_may_be_the_next_prompt() -> None:
    decoder = new_decoder()
    said = say(decoder)

    assert say(decoder, [*PROMPT, *said[:3]], n_tokens=4) == said[3:7]
    assert layers_run(decoder) == 0
    assert decoder.reused_tokens == len(PROMPT) + 3


def test_where_requests_are_compared_each_costs_the_same() -> None:
    decoder = new_decoder(keeps_rows=False)
    costs = []
    for _ in range(3):
        say(decoder)
        costs.append(layers_run(decoder))

    assert costs[1] == costs[2]
    assert costs[2] > 0


def test_whatever_was_asked_before_the_text_is_that_of_a_new_decoder() -> None:
    rng = random.Random(4)
    decoder = new_decoder()
    said: list[int] = []
    for _ in range(60):
        whole = [*PROMPT, *said]
        prompt = whole[: rng.randint(3, len(whole))]
        way, n_tokens = rng.choice(WAYS), rng.randint(1, 9)
        constraint = FromThen(rng.randint(0, 3), rng.randrange(90)) if rng.random() < 0.4 else None

        text = say(decoder, prompt, way, n_tokens=n_tokens, constraint=constraint)

        assert text == say(new_decoder(), prompt, way, n_tokens=n_tokens, constraint=constraint)
        said = text if rng.random() < 0.7 else said
