from lsp_server.protocol import Status
from lsp_server.status import ServerState, engine_facts, status_of
from lsp_server.suggest.reasons import Reason
from tests.fakes import FakeEngine

READY = ServerState(engine=engine_facts(FakeEngine()))


def test_a_ready_server_says_what_runs_where_and_how_joules_are_had() -> None:
    assert status_of(READY) == Status(
        health="ok",
        quiescent=True,
        message="",
        remedy="none",
        silence="none",
        power="",
        model="smollm2-135m",
        device="CPU, 1 thread",
        remote=None,
        meter="measured: fake counter",
        meter_notes=["NVML: no GPU."],
    )


def test_a_loading_server_is_well_but_not_quiescent() -> None:
    status = status_of(ServerState(loading="Fetching the model (25 %)"))

    assert (status.health, status.quiescent, status.message) == ("ok", False, "Fetching the model (25 %)")


def test_without_an_engine_the_server_gives_no_completions() -> None:
    status = status_of(ServerState(load_failure="The file is corrupt.", ledger_warning="The disk is full."))

    assert (status.health, status.message) == ("error", "The file is corrupt. The disk is full.")


def test_every_problem_is_told() -> None:
    state = ServerState(settings_problems=("A.", "B."), request_failure="C.", ledger_warning="D.")

    assert (status_of(state).health, status_of(state).message) == ("warning", "A. B. C. D.")


def test_a_sentence_is_told_once() -> None:
    state = ServerState(snoozed="Snoozed until 12:00.", not_offered=Reason("snoozed", "Snoozed until 12:00."))

    assert status_of(state).message == "Snoozed until 12:00."


def test_why_nothing_is_offered_is_no_warning() -> None:
    status = status_of(ServerState(not_offered=Reason("private", ".env stays private.")))

    assert (status.health, status.silence, status.message) == ("ok", "private", ".env stays private.")


def test_a_snooze_goes_before_a_pause_and_a_pause_before_the_last_place() -> None:
    here, pause = Reason("skipped", "Seldom kept."), Reason("paused", "On battery.")

    snoozed = status_of(ServerState(snoozed="Snoozed.", paused=pause, not_offered=here))
    paused = status_of(ServerState(paused=pause, not_offered=here))
    assert (snoozed.silence, snoozed.message) == ("snoozed", "Snoozed.")
    assert (paused.silence, paused.message) == ("paused", "On battery.")


def test_a_load_that_fails_for_want_of_torch_says_that_to_the_client() -> None:
    status = status_of(ServerState(load_failure="PyTorch is needed.", remedy="torch"))

    assert (status.health, status.remedy) == ("error", "torch")
