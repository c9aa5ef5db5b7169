"""Whose turn it is."""

import threading
import time
from functools import partial

from engine.service.turns import Turns


def taken(turns: Turns[str], count: int) -> None:
    for _ in range(count):
        work = turns.take()
        assert work is not None
        work()


def test_nobody_is_served_twice_while_another_waits() -> None:
    turns: Turns[str] = Turns(linger_s=60)
    served: list[str] = []
    for guest in ("a", "b", "c"):
        assert turns.join(guest)
    for guest in ("a", "a", "a", "b", "c"):
        turns.put(guest, lambda guest=guest: served.append(guest))  # type: ignore[misc]

    taken(turns, 5)

    assert served == ["a", "b", "c", "a", "a"]


def test_who_still_waits_is_served_before_who_asks_anew() -> None:
    turns: Turns[str] = Turns(linger_s=60)
    served: list[str] = []
    for guest in ("a", "b", "c"):
        turns.join(guest)

    def first() -> None:
        served.append("first")

    turns.put("a", first)
    turns.put("b", lambda: served.append("b"))
    assert turns.withdraw("a", first)
    assert not turns.withdraw("a", first)
    turns.put("a", lambda: served.append("a"))
    turns.put("c", lambda: served.append("c"))
    taken(turns, 3)

    assert served == ["b", "a", "c"]


def test_some_work_is_taken_before_its_turn_in_the_same_order() -> None:
    turns: Turns[str] = Turns(linger_s=60)
    served: list[str] = []
    works = {guest: partial(served.append, guest) for guest in ("a", "b", "c")}
    for guest, work in works.items():
        turns.join(guest)
        turns.put(guest, work)

    while (some := turns.take_some(lambda work: work is not works["a"])) is not None:
        some()
    taken(turns, 1)

    assert served == ["b", "c", "a"]


def test_the_work_of_who_has_gone_is_not_done() -> None:
    turns: Turns[str] = Turns(linger_s=0)
    turns.join("a")
    turns.put("a", lambda: None)
    turns.leave("a")
    turns.put("a", lambda: None)

    assert turns.take() is None
    assert not turns.join("b")


def test_it_ends_some_time_after_the_last_guest() -> None:
    turns: Turns[str] = Turns(linger_s=0.05)
    turns.join("a")
    threading.Timer(0.1, turns.leave, ["a"]).start()
    begun_s = time.monotonic()

    assert turns.take() is None
    assert time.monotonic() - begun_s >= 0.1


def test_whoever_comes_meanwhile_is_served() -> None:
    turns: Turns[str] = Turns(linger_s=30)
    served: list[str] = []

    def come() -> None:
        turns.join("a")
        turns.put("a", lambda: served.append("a"))

    threading.Timer(0.01, come).start()
    taken(turns, 1)

    assert served == ["a"]


def test_it_can_be_ended() -> None:
    turns: Turns[str] = Turns(linger_s=30)
    turns.join("a")
    threading.Timer(0.01, turns.end).start()

    assert turns.take() is None


def test_the_first_rest_after_work_is_told_once() -> None:
    rests: list[str] = []
    turns: Turns[str] = Turns(linger_s=0, at_rest=lambda: rests.append("rest"))
    turns.join("a")
    turns.put("a", lambda: rests.append("work"))

    taken(turns, 2)
    threading.Timer(0.05, turns.end).start()

    assert turns.take() is None
    assert rests == ["work", "rest"]
