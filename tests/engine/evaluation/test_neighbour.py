"""How late a neighbour is: the sum of its lateness, and what runs beside it until it has ended."""

import pytest

from engine.evaluation.neighbour import lateness_beside, lateness_of


def test_most_pieces_are_punctual_and_the_rest_is_not_averaged_away() -> None:
    late_s = [0.0] * 90 + [0.004] * 7 + [0.02] * 3

    found = lateness_of(late_s[::-1])

    assert (found.p50_s, found.p95_s, found.p99_s) == (0.0, 0.004, 0.02)


def test_work_goes_on_beside_the_neighbour_until_it_has_ended() -> None:
    bursts = []

    def work() -> None:
        bursts.append(sum(range(10_000)))

    found = lateness_beside(work, pieces=5)

    assert len(bursts) > 1
    assert found.p50_s <= found.p95_s <= found.p99_s


def test_what_the_work_raises_is_told_once_the_neighbour_has_ended() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        lateness_beside(fail, pieces=5)
