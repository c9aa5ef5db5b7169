from collections.abc import Callable

import pytest

from engine.decoding.pool import DecoderPool
from engine.decoding.stopping import StopCondition
from engine.model.early_exit import EarlyExitModel
from engine.policy.base import OperatingPoint
from engine.policy.baselines import FullDepth
from engine.types import NeverCancelled
from tests.tiny_models import early_exit_model, tiny_model

FILES = [[1, *range(start, start + 30)] for start in (2, 34, 66)]
ONE_CACHE_BYTES = 2 * 6 * 2 * 8 * 1024 * 4  # keys and values, layers, heads, width, first room, fp32


@pytest.fixture
def model() -> EarlyExitModel:
    return early_exit_model(tiny_model("llama"))


def decode(pool: DecoderPool, prompt: list[int], between: Callable[[], object] = lambda: None) -> tuple[list[int], int]:
    """The text, and how much of the prompt was known."""
    decoder = pool.decoder_for(prompt)
    tokens = decoder.generate(
        prompt,
        policy=FullDepth(),
        point=OperatingPoint(energy_weight=0.0, lossless=True),
        stop=StopCondition(max_new_tokens=4),
        cancellation=NeverCancelled(),
        between=between,  # type: ignore[arg-type] # whatever comes of it
    )
    return [token.token_id for token in tokens], decoder.reused_tokens


def test_going_back_to_a_file_costs_no_new_prompt(model: EarlyExitModel) -> None:
    pool = DecoderPool(model)
    first = [decode(pool, file)[0] for file in FILES]

    again = [decode(pool, [*file, 5]) for file in FILES]

    assert [known for _, known in again] == [len(file) for file in FILES]
    assert [decode(pool, file)[0] for file in FILES] == first
    assert len(pool) == 3


def test_a_common_first_line_takes_no_file_its_cache(model: EarlyExitModel) -> None:
    pool = DecoderPool(model)
    decode(pool, FILES[0])

    _, known = decode(pool, FILES[1])  # both begin with the same token

    assert known == 0
    assert decode(pool, FILES[0])[1] == len(FILES[0]) - 1


def test_the_least_recently_used_make_room(model: EarlyExitModel) -> None:
    pool = DecoderPool(model, budget_bytes=ONE_CACHE_BYTES)
    for file in (*FILES, FILES[1]):
        decode(pool, file)

    known = [decode(pool, file)[1] for file in reversed(FILES)]

    assert known == [30, 30, 0]


def test_a_budget_too_small_for_any_still_leaves_one(model: EarlyExitModel) -> None:
    pool = DecoderPool(model, budget_bytes=0)

    decode(pool, FILES[0])

    assert decode(pool, FILES[0])[1] == len(FILES[0]) - 1


def test_a_decoder_that_has_read_nothing_is_kept_no_longer(model: EarlyExitModel) -> None:
    pool = DecoderPool(model)
    for file in FILES:
        pool.decoder_for(file)

    assert len(pool) == 1


def test_a_prompt_that_is_being_read_is_left_alone_by_others(model: EarlyExitModel) -> None:
    alone = decode(DecoderPool(model), FILES[0])
    pool, others = DecoderPool(model, budget_bytes=0), []
    decode(pool, FILES[1])

    text = decode(pool, FILES[0], lambda: others.append((pool.n_unread(FILES[0]), decode(pool, FILES[0]))))

    assert text == alone
    assert len(others) > 1
    assert all(other == (31, alone) for other in others[:1])
    assert all(unread == 0 and tokens == alone[0] for unread, (tokens, _) in others[1:])
