import pytest

from engine.decoding.stopping import StopCondition
from engine.types import FinishReason

CHANCES = {0: 0.9, 1: 0.5, 2: 0.2}


@pytest.mark.parametrize(
    ("n_tokens", "least_chance", "reason"),
    [
        (1, 0.5, None),
        (2, 0.5, FinishReason.UNLIKELY),  # 0.45
        (2, 0.4, None),
        (3, 0.4, FinishReason.UNLIKELY),  # 0.09
        (3, 0.0, None),
    ],
)
def test_a_text_ends_where_all_of_it_has_become_unlikely(
    n_tokens: int, least_chance: float, reason: FinishReason | None
) -> None:
    stop = StopCondition(max_new_tokens=9, least_chance=least_chance)

    assert stop.reason_to_end([5] * n_tokens, CHANCES) is reason


def test_a_text_whose_chances_are_not_known_goes_on() -> None:
    stop = StopCondition(max_new_tokens=9, least_chance=0.9)

    assert stop.reason_to_end([5, 5], {1: 0.1}) is None


def test_the_end_of_the_text_is_an_end_however_unlikely() -> None:
    stop = StopCondition(max_new_tokens=9, least_chance=0.9, end_ids=frozenset({7}))

    assert stop.reason_to_end([5, 7], CHANCES) is FinishReason.STOP
