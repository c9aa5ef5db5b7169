import random

import numpy as np
import pytest

from engine.project.contexts import LONGEST, LinearContexts, SortedContexts, _sorted_places

N_TOKENS = 6  # so few that everything repeats


def random_text(seed: int, length: int = 400) -> "np.ndarray[tuple[int], np.dtype[np.uint16]]":
    rng = random.Random(seed)
    return np.array([rng.randrange(N_TOKENS) for _ in range(length)], np.uint16)


def agreement(ids: list[int], place: int, last: list[int]) -> int:
    """How many tokens up to a place are the last ones wanted, counted one by one."""
    length = 0
    while length < min(LONGEST, len(last), place + 1) and ids[place - length] == last[-1 - length]:
        length += 1
    return length


@pytest.mark.parametrize("seed", range(20))
def test_both_find_the_longest_agreement(seed: int) -> None:
    ids = random_text(seed)
    last = random_text(seed + 100, 40).tolist() if seed % 2 else ids[120 : 130 + seed].tolist()
    longest = max(agreement(ids.tolist(), place, last) for place in range(len(ids) - 1))

    for contexts in (SortedContexts(ids), LinearContexts(ids)):
        found = contexts.find(last)

        assert found.lengths.max() >= longest
        for place, length in zip(found.places.tolist(), found.lengths.tolist(), strict=True):
            assert agreement(ids.tolist(), place, last) >= length > 0


@pytest.mark.parametrize("seed", range(20))
def test_only_places_count_that_a_wanted_token_follows(seed: int) -> None:
    ids = random_text(seed)
    last = random_text(seed + 100, 40).tolist()
    allowed = np.arange(N_TOKENS) == seed % N_TOKENS
    followed = [place for place in range(len(ids) - 1) if allowed[ids[place + 1]]]
    longest = max(agreement(ids.tolist(), place, last) for place in followed)

    for contexts in (SortedContexts(ids), LinearContexts(ids)):
        found = contexts.find(last, allowed)

        assert found.lengths.max() == longest
        assert all(allowed[ids[place + 1]] for place in found.places.tolist() if place + 1 < len(ids))


@pytest.mark.parametrize("key_bits", [64, 20])  # places are sorted with their keys, or by them where these are long
@pytest.mark.parametrize("seed", range(5))
def test_places_stand_in_the_order_of_the_tokens_before_them(
    seed: int, key_bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.project.contexts._KEY_BITS", key_bits)
    ids = random_text(seed, 3000)

    text = ids.tolist()
    in_order = sorted(range(len(text)), key=lambda place: text[max(0, place + 1 - LONGEST) : place + 1][::-1])

    assert _sorted_places(ids).tolist() == in_order


def test_more_than_the_longest_agreement_is_not_told_apart() -> None:
    ids = np.array([*range(40), 7, *range(40)], np.uint16)

    assert SortedContexts(ids).find(list(range(30))).lengths.max() == LONGEST
    assert LinearContexts(ids).find(list(range(30))).lengths.max() == LONGEST


@pytest.mark.parametrize("length", [0, 1, 2])
def test_a_text_too_short_to_say_anything_says_nothing(length: int) -> None:
    ids = np.arange(length, dtype=np.uint16)

    for contexts in (SortedContexts(ids), LinearContexts(ids)):
        assert not len(contexts.find([9]).places)
        assert not len(contexts.find([]).places)


def test_a_token_takes_six_bytes() -> None:
    contexts = SortedContexts(random_text(0, 10_000))

    assert contexts.nbytes == 6 * 10_000
