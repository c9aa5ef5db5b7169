import pytest

from engine.completion.acceptance import PlaceKind
from lsp_server.suggest.gate import LONGEST_WAIT_S, Gate, TypingRhythm, least_chance, price_at

IN_WORD = "total = coun"
LINE_START = "if ready:\n    "
LIKELY = 0.5


def typist(*pauses_s: float, prefix: str = IN_WORD, chance: float = LIKELY) -> tuple[Gate, float]:
    """The gate of somebody who has typed with these pauses at places of one kind, and the time of their last key."""
    gate, now_s = Gate(lambda *_: chance, LIKELY), 100.0
    gate.answered(0.1)
    gate.note_key(now_s)
    for pause_s in pauses_s:
        gate.cursor_at(prefix)
        now_s += pause_s
        gate.note_key(now_s)
    return gate, now_s


def wait_s(gate: Gate, prefix: str, now_s: float, green_mode: int = 50) -> float:
    wait_s = gate.wait_s(prefix, now_s, green_mode)
    assert wait_s is not None
    return wait_s


def test_who_has_not_typed_does_not_wait() -> None:
    assert Gate(lambda *_: LIKELY, LIKELY).wait_s(IN_WORD, 5.0, 50) == 0.0


def test_at_green_mode_0_every_place_is_asked_at_once() -> None:
    gate, now_s = typist(*[0.2] * 64, chance=0.0)

    assert gate.wait_s(IN_WORD, now_s, 0) == 0.0


def test_where_a_suggestion_is_hardly_kept_the_engine_is_not_asked() -> None:
    gate, now_s = typist(chance=0.23)

    assert least_chance(20) < 0.23 < least_chance(60)
    assert gate.wait_s(IN_WORD, now_s, 20) is not None
    assert gate.wait_s(IN_WORD, now_s, 60) is None
    assert gate.wait_s(IN_WORD, now_s, 60, may_skip=False) is not None


def test_where_a_suggestion_is_less_likely_than_its_price_only_who_stays_is_asked_for() -> None:
    gate, now_s = typist(*[2.0] * 64, chance=0.3)

    assert least_chance(20) < 0.3 < price_at(20)
    assert wait_s(gate, IN_WORD, now_s, 20) == pytest.approx(LONGEST_WAIT_S, abs=0.03)
    assert wait_s(gate, IN_WORD, now_s, 10) == 0.0


def test_who_goes_on_after_a_fifth_of_a_second_is_asked_for_once_that_has_passed() -> None:
    gate, now_s = typist(*[0.2] * 64)

    assert wait_s(gate, IN_WORD, now_s) == pytest.approx(0.2, abs=0.03)


def test_a_slower_person_is_waited_for_longer() -> None:
    slow, now_s = typist(*[0.4] * 64)

    assert wait_s(slow, IN_WORD, now_s) == pytest.approx(0.4, abs=0.03)


def test_where_people_pause_to_think_nobody_waits() -> None:
    gate, now_s = typist(*[0.2] * 64, chance=0.4)

    assert wait_s(gate, LINE_START, now_s, 20) == 0.0
    assert wait_s(gate, IN_WORD, now_s, 20) > 0.0


def test_the_rhythm_is_learned_apart_for_each_kind_of_place() -> None:
    gate, now_s = typist(*[0.15] * 64, prefix=LINE_START)

    assert wait_s(gate, LINE_START, now_s) > 0.1


def test_the_higher_the_green_mode_the_longer_the_wait_or_none_at_all() -> None:
    gate, now_s = typist(*[0.1, 0.15, 0.2, 0.3, 0.5, 1.5] * 10, chance=0.5)
    waits_s = [wait_s(gate, IN_WORD, now_s, mode) for mode in (10, 30, 60, 90)]

    assert waits_s == sorted(waits_s)
    assert waits_s[0] < waits_s[-1] <= LONGEST_WAIT_S


def test_the_better_the_chance_the_sooner_it_asks() -> None:
    pauses_s = [0.1, 0.15, 0.2, 0.3, 0.5, 1.5] * 10
    likely, now_s = typist(*pauses_s, chance=0.9)
    unlikely, then_s = typist(*pauses_s, chance=0.42)

    assert wait_s(likely, IN_WORD, now_s) < wait_s(unlikely, IN_WORD, then_s)


def test_what_is_likely_right_is_asked_for_at_once_even_where_nobody_pauses_for_it_is_typed_along() -> None:
    sure, now_s = typist(*[0.1] * 64, chance=0.9)
    unsure, then_s = typist(*[0.1] * 64, chance=0.42)

    assert wait_s(sure, IN_WORD, now_s) == 0.0
    assert wait_s(unsure, IN_WORD, then_s) == pytest.approx(0.1, abs=0.03)


def test_what_has_passed_since_the_last_key_is_not_waited_again() -> None:
    gate, now_s = typist(*[0.2] * 64)

    assert wait_s(gate, IN_WORD, now_s + 0.05) == pytest.approx(wait_s(gate, IN_WORD, now_s) - 0.05)
    assert wait_s(gate, IN_WORD, now_s + 3.0) == 0.0


def test_nobody_waits_longer_than_the_longest_wait() -> None:
    gate, now_s = typist(*[2.0] * 64, chance=0.41)
    for _ in range(20):
        gate.answered(60.0)

    assert wait_s(gate, IN_WORD, now_s) <= LONGEST_WAIT_S


def test_one_slow_answer_among_fast_ones_changes_nothing() -> None:
    pauses_s = [0.1, 0.15, 0.2, 0.3, 0.5, 1.5] * 10
    steady, now_s = typist(*pauses_s)
    disturbed, _ = typist(*pauses_s)
    for elapsed_s in (0.1, 0.1, 0.1, 5.0):
        disturbed.answered(elapsed_s)

    assert wait_s(disturbed, IN_WORD, now_s) == wait_s(steady, IN_WORD, now_s)


def test_a_pause_away_from_the_desk_and_one_at_a_place_unknown_are_not_learned() -> None:
    rhythm = TypingRhythm()
    before = list(rhythm.pauses_s(PlaceKind.IN_WORD))
    rhythm.note_key(0.0)
    rhythm.note_key(0.3)
    rhythm.cursor_at(PlaceKind.IN_WORD)
    rhythm.note_key(60.0)

    assert list(rhythm.pauses_s(PlaceKind.IN_WORD)) == before
