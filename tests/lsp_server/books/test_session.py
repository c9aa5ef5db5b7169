import pytest

from engine.types import FinishReason, Provenance
from lsp_server.books.session import MAX_OPEN_OFFERS, Session
from lsp_server.books.today import SpentToday
from lsp_server.protocol import SessionEnergy
from tests.fakes import fake_completion


def totals(session: Session) -> SessionEnergy:
    return session.totals(str, green_mode=50, layers_total=4, today=SpentToday())


def test_nothing_is_known_before_the_first_request() -> None:
    empty = totals(Session())

    assert (empty.energy_j, empty.saved_j, empty.wasted_j, empty.mean_exit_layer) == (None, None, None, None)
    assert (empty.saved_low_j, empty.saved_high_j) == (None, None)
    assert (empty.provenance, empty.source, empty.requests) == ("none", None, 0)


def test_requests_add_up() -> None:
    session = Session()
    session.record("a", fake_completion("one"))
    session.record("b", fake_completion("", finish_reason=FinishReason.CANCELLED, exit_layers=(4,)))

    sums = totals(session)

    assert (sums.energy_j, sums.baseline_energy_j, sums.saved_j) == (4.0, 10.0, 6.0)
    assert (sums.saved_low_j, sums.saved_high_j) == (2.0, 12.0)
    assert (sums.prefill_j, sums.decode_j, sums.policy_j) == (1.0, 3.0, None)
    assert (sums.requests, sums.offered, sums.cancelled, sums.offered_chars, sums.tokens) == (2, 1, 1, 3, 3)
    assert sums.mean_exit_layer == pytest.approx(10 / 3)


def test_tokens_of_unknown_depth_take_no_part_in_the_mean() -> None:
    session = Session()
    session.record("a", fake_completion(exit_layers=(2, 4)))
    session.record("b", fake_completion(exit_layers=(None, None)))

    sums = totals(session)

    assert (sums.tokens, sums.mean_exit_layer, sums.last_mean_exit_layer) == (4, 3.0, None)


def test_the_last_figures_are_of_the_newest_answer_not_of_a_cancelled_request() -> None:
    session = Session()
    session.record("a", fake_completion(exit_layers=(2, 4)))
    session.record("b", fake_completion("", finish_reason=FinishReason.CANCELLED, exit_layers=(4,)))

    assert totals(session).last_mean_exit_layer == 3.0


def test_what_is_not_accepted_is_wasted() -> None:
    session = Session()
    session.record("a", fake_completion("one"))
    session.record("b", fake_completion("three"))

    session.accept("b")
    session.accept("b")
    session.accept("of another session")

    assert (totals(session).accepted, totals(session).accepted_chars) == (1, 5)
    assert totals(session).wasted_j == 2.0


def test_an_offer_shown_again_counts_once_and_costs_nothing() -> None:
    session = Session()
    session.record("a", fake_completion("one two"))
    session.reuse("a", 3)
    session.reuse("a", 7)

    sums = totals(session)

    assert (sums.requests, sums.reused, sums.offered, sums.offered_chars) == (1, 2, 1, 7)
    assert (sums.energy_j, sums.wasted_j) == (2.0, 2.0)


def test_what_was_computed_for_nobody_and_offered_later_counts_then() -> None:
    session = Session()
    session.record("a", fake_completion("", finish_reason=FinishReason.CANCELLED))
    session.reuse("a", 7)
    session.accept("a", 7)

    sums = totals(session)

    assert (sums.offered, sums.offered_chars, sums.accepted_chars, sums.wasted_j) == (1, 7, 7, 0.0)


def test_an_offer_shown_twice_and_accepted_once_is_accepted_once() -> None:
    session = Session()
    session.record("a", fake_completion("one two"))
    session.accept("a", 7)
    session.reuse("a", 4)  # taken back, and offered again
    session.accept("a", 4)

    sums = totals(session)

    assert (sums.accepted, sums.accepted_chars, sums.offered_chars, sums.wasted_j) == (1, 7, 7, 0.0)


def test_requests_that_were_never_asked_are_counted() -> None:
    session = Session()
    session.skip()

    assert (totals(session).skipped, totals(session).requests, totals(session).energy_j) == (1, 0, None)


def test_kinds_of_figures_that_differ_are_called_mixed() -> None:
    session = Session()
    session.record("a", fake_completion(provenance=Provenance.MEASURED))
    session.record("b", fake_completion(provenance=Provenance.MODELLED))

    assert totals(session).provenance == "mixed"


def test_a_figure_is_called_as_its_joules_were_had() -> None:
    session = Session()
    session.record("u", fake_completion(energy_j=None, provenance=Provenance.NONE))
    assert (totals(session).provenance, totals(session).source) == ("none", "fake counter")

    session.record("a", fake_completion(energy_j=0.0, provenance=Provenance.MODELLED))
    assert totals(session).provenance == "modelled"

    session.record("b", fake_completion(provenance=Provenance.MEASURED))
    session.record("c", fake_completion(energy_j=None, provenance=Provenance.NONE))

    assert (totals(session).energy_j, totals(session).provenance) == (2.0, "measured")


def test_unknown_energy_is_not_zero() -> None:
    session = Session()
    session.record("a", fake_completion(energy_j=None, provenance=Provenance.NONE))

    assert (totals(session).energy_j, totals(session).saved_j, totals(session).wasted_j) == (None, None, None)
    assert totals(session).baseline_energy_j is None


def test_what_was_saved_and_what_it_is_compared_with_are_of_the_same_requests() -> None:
    session = Session()
    session.record("a", fake_completion(energy_j=None, provenance=Provenance.NONE))
    session.record("b", fake_completion())

    assert (totals(session).energy_j, totals(session).baseline_energy_j, totals(session).saved_j) == (2.0, 5.0, 3.0)


def test_what_was_offered_long_ago_is_forgotten() -> None:
    session = Session()
    for n in range(MAX_OPEN_OFFERS + 1):
        session.record(f"{n}", fake_completion("four"))

    session.accept("0")
    session.accept("1")

    assert totals(session).accepted == 1


def test_parts_of_a_suggestion_are_counted_as_they_are_taken_and_waste_nothing() -> None:
    session = Session()
    session.record("a", fake_completion("one two"))

    session.take("a", 3)
    taken = totals(session)
    session.take("a", 3)
    was_taken = session.accept("a", 4)
    session.take("of another session", 3)

    assert (taken.accepted, taken.accepted_chars, taken.wasted_j) == (1, 3, 0.0)
    assert was_taken
    assert (totals(session).accepted, totals(session).accepted_chars) == (1, 7)
