import pytest

from lsp_server.gate import TypingRhythm


def typist(*pauses_s: float, answer_s: float = 10.0) -> tuple[TypingRhythm, float]:
    """Somebody who has typed with these pauses, and the time of their last key."""
    rhythm, now_s = TypingRhythm(), 100.0
    rhythm.answered(answer_s)
    rhythm.key(now_s)
    for pause_s in pauses_s:
        now_s += pause_s
        rhythm.key(now_s)
    return rhythm, now_s


def test_who_has_not_typed_does_not_wait() -> None:
    assert TypingRhythm().wait_s(5.0, 0.5) == 0.0


def test_the_wait_is_three_quarters_of_the_persons_own_pauses() -> None:
    fast, now_s = typist(*[0.1, 0.1, 0.1, 0.2] * 10)
    slow, then_s = typist(*[0.3, 0.3, 0.3, 0.5] * 10)

    assert fast.wait_s(now_s, 0.5) == pytest.approx(0.2)
    assert slow.wait_s(then_s, 0.5) == pytest.approx(0.5)


def test_the_rhythm_follows_the_newest_keys() -> None:
    rhythm, now_s = typist(*[0.5] * 50, *[0.1] * 48)

    assert rhythm.wait_s(now_s, 0.5) == pytest.approx(0.1)


def test_what_has_passed_since_the_last_key_is_not_waited_again() -> None:
    rhythm, now_s = typist(*[0.2] * 10)

    assert rhythm.wait_s(now_s + 0.05, 0.5) == pytest.approx(0.15)
    assert rhythm.wait_s(now_s + 3.0, 0.5) == 0.0


def test_nobody_waits_longer_than_an_answer_takes() -> None:
    rhythm, now_s = typist(*[0.3] * 10, answer_s=0.02)

    assert rhythm.wait_s(now_s, 0.5) == pytest.approx(0.02)


def test_a_higher_green_mode_waits_longer_and_asks_less() -> None:
    rhythm, now_s = typist(*[0.3] * 10, answer_s=0.1)

    assert [rhythm.wait_s(now_s, weight) for weight in (0.0, 0.3, 1.0)] == pytest.approx([0.0, 0.06, 0.2])


def test_before_the_first_answer_nobody_waits() -> None:
    rhythm = TypingRhythm()
    rhythm.key(1.0)

    assert rhythm.wait_s(1.0, 0.5) == 0.0


def test_a_pause_to_think_is_no_part_of_the_rhythm() -> None:
    rhythm, now_s = typist(*[0.1, 30.0] * 10)

    assert rhythm.wait_s(now_s, 0.5) == pytest.approx(0.1)


def test_a_few_keys_say_less_than_what_is_known_of_people() -> None:
    rhythm, now_s = typist(0.9, 0.9)

    assert rhythm.wait_s(now_s, 0.5) == pytest.approx(0.2)
