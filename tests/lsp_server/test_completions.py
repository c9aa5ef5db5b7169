"""Suggestions over stdio, around a fake engine: which text, when it is computed, and what of it is booked."""

import asyncio
from statistics import median

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcRequestCancelled

from lsp_server.protocol import CLEAR_HISTORY, DID_ACCEPT, HISTORY, RESET_SESSION
from tests.lsp_server.client import (
    BOTH_WAYS,
    URI,
    Client,
    completion_params,
)

pytestmark = pytest.mark.timeout(60)

PLACE = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 0}}
HELD = {**PLACE, "position": {"line": 0, "character": 4}, "context": {"triggerKind": 2}}


@BOTH_WAYS
async def test_a_suggestion_is_a_plain_string_with_its_range_and_a_command(client: Client) -> None:
    client.open("x = 1\ny = 😋")

    item = await client.complete(1, 6)

    assert item is not None
    assert item.insert_text == "next"
    assert item.range == types.Range(start=types.Position(1, 6), end=types.Position(1, 6))
    assert item.command is not None
    assert item.command.command == DID_ACCEPT


@BOTH_WAYS
async def test_edits_reach_the_engine(client: Client) -> None:
    client.open("x\x0c = 1\n")
    change = types.TextDocumentContentChangePartial(
        range=types.Range(start=types.Position(1, 0), end=types.Position(1, 0)), text="nothing"
    )
    client.text_document_did_change(
        types.DidChangeTextDocumentParams(
            text_document=types.VersionedTextDocumentIdentifier(uri=URI, version=2), content_changes=[change]
        )
    )

    assert await client.complete(1, 7) is None


async def test_accepting_counts_once_and_is_not_wasted(client: Client) -> None:
    client.open("x")
    item = await client.complete(0, 1)
    assert item is not None
    assert item.command is not None
    offered = await client.energy(lambda energy: energy.requests == 1)
    assert (offered.offered, offered.accepted, offered.energy_j, offered.wasted_j) == (1, 0, 2.0, 2.0)

    params = types.ExecuteCommandParams(command=DID_ACCEPT, arguments=item.command.arguments)
    await client.workspace_execute_command_async(params)
    await client.workspace_execute_command_async(params)

    accepted = await client.energy(lambda energy: energy.accepted > 0)
    assert (accepted.accepted, accepted.accepted_chars, accepted.wasted_j) == (1, 4, 0.0)


@BOTH_WAYS
async def test_what_is_left_of_a_suggestion_is_offered_at_once_and_for_nothing(client: Client) -> None:
    client.open("x")
    whole = await client.complete(0, 1)
    client.type(0, 1, "ne")
    rest = await client.complete(0, 3)
    client.type(0, 3, "x")
    await client.complete(0, 4)

    assert whole is not None
    assert rest is not None
    assert (rest.insert_text, rest.range) == ("xt", types.Range(types.Position(0, 3), types.Position(0, 3)))
    energy = await client.energy(lambda energy: energy.reused == 2)
    assert (energy.requests, energy.offered, energy.offered_chars, energy.energy_j) == (1, 1, 4, 2.0)


async def test_accepting_the_rest_counts_the_rest_and_wastes_nothing(client: Client) -> None:
    client.open("x")
    await client.complete(0, 1)
    client.type(0, 1, "n")
    client.type(0, 2, "e")
    rest = await client.complete(0, 3)
    assert rest is not None
    assert rest.command is not None

    for _ in range(2):
        params = types.ExecuteCommandParams(command=DID_ACCEPT, arguments=rest.command.arguments)
        await client.workspace_execute_command_async(params)

    energy = await client.energy(lambda energy: energy.accepted > 0)
    assert (energy.accepted, energy.accepted_chars, energy.wasted_j) == (1, 2, 0.0)


@pytest.mark.parametrize("rest_is", ["accepted", "left"])
async def test_a_word_that_is_taken_alone_counts(client: Client, rest_is: str) -> None:
    client.open("x")
    await client.complete(0, 1)
    client.type(0, 1, "ne")  # in one piece, as Ctrl+Right inserts it
    rest = await client.complete(0, 3)
    assert rest is not None
    assert rest.command is not None
    energy = await client.energy(lambda energy: energy.accepted > 0)
    assert (energy.accepted, energy.accepted_chars, energy.wasted_j) == (1, 2, 0.0)

    if rest_is == "accepted":
        client.type(0, 3, "xt")
        params = types.ExecuteCommandParams(command=DID_ACCEPT, arguments=rest.command.arguments)
        for _ in range(2):
            await client.workspace_execute_command_async(params)

    kept = 4 if rest_is == "accepted" else 2
    energy = await client.energy(lambda energy: energy.accepted_chars == kept)
    assert (energy.accepted, energy.wasted_j) == (1, 0.0)
    history = await client.request(HISTORY, params={"days": 1, "by": "hour", "country": ""})
    assert (history.total.accepted, history.total.acceptedChars) == (1, kept)


async def test_a_former_state_and_nothing_to_suggest_are_known_too(client: Client) -> None:
    client.open("x\nnothing")
    for line, character in ((0, 1), (1, 7), (0, 1), (1, 7)):
        await client.complete(line, character)

    energy = await client.energy(lambda energy: energy.reused == 2)
    assert (energy.requests, energy.offered) == (2, 1)


async def test_by_hand_the_engine_is_always_asked(client: Client) -> None:
    client.open("x")
    await client.complete(0, 1)

    assert await client.complete(0, 1, invoked=True) is not None

    assert (await client.energy(lambda energy: energy.requests == 2)).reused == 0


@pytest.mark.parametrize("settings", [{"greenMode": 60}, {"model": "other"}])
async def test_other_settings_give_other_answers(client: Client, settings: dict[str, object]) -> None:
    client.open("x")
    await client.complete(0, 1)
    client.change_settings(settings)
    await client.status(lambda status: status.model == settings.get("model", status.model) and status.quiescent)

    assert await client.complete(0, 1) is not None

    assert (await client.energy(lambda energy: energy.requests == 2)).reused == 0


# An engine of its own has begun when it is busy; what a shared one has not begun yet is asked anew.
async def test_a_request_taken_back_at_a_key_is_answered_to_the_next_one(client: Client) -> None:
    client.open("slowly")
    held = {**HELD, "position": {"line": 0, "character": 6}}
    request = asyncio.ensure_future(client.request(types.TEXT_DOCUMENT_INLINE_COMPLETION, params=held))
    await client.status(lambda status: not status.quiescent)
    client.type(0, 6, "one ")
    client.cancel_request(types.CancelParams(id="raw-1"))
    with pytest.raises(JsonRpcRequestCancelled):
        await request

    item = await client.complete(0, 10)

    assert item is not None
    assert item.insert_text == "two three"
    assert (await client.energy(lambda energy: energy.offered == 1)).requests == 1


async def test_a_request_superseded_while_it_waits_for_a_pause_never_reaches_the_engine(client: Client) -> None:
    client.change_settings({"debounceMs": 60})
    client.open("x\ny")

    answers = await asyncio.gather(*(client.complete(0, 1) for _ in range(9)), client.complete(1, 1))

    assert [n for n, answer in enumerate(answers) if answer is not None] == [9]
    energy = await client.energy(lambda energy: energy.requests > 0)
    assert (energy.requests, energy.skipped, energy.cancelled) == (1, 9, 0)


async def test_a_known_answer_takes_no_time_that_is_felt(client: Client) -> None:
    client.open("# a long file\n" * 2000 + "x")
    await client.complete(2000, 1)
    loop = asyncio.get_running_loop()
    elapsed_s = []
    for _ in range(160):
        client.type(2000, 1, " ")
        client.delete(2000, 1, 1)
        started_s = loop.time()
        assert await client.complete(2000, 1) is not None
        elapsed_s.append(loop.time() - started_s)

    assert (await client.energy(lambda energy: energy.reused == 160)).requests == 1
    assert median(elapsed_s) <= 0.050  # about 3 ms on a quiet machine; other processes may spoil some


# Editors that hold lines, as Neovim does, would take a CR for text; the others put the document's own line ends.
async def test_crlf_documents_too_get_suggestions_with_bare_line_ends(client: Client) -> None:
    client.open("a\r\nblock")

    item = await client.complete(1, 5)

    assert item is not None
    assert item.insert_text == "first\nsecond"


async def test_the_selected_entry_of_the_suggest_widget_is_extended(client: Client) -> None:
    client.open("xs.ap")
    params = completion_params(0, 5)
    selected = types.Range(start=types.Position(0, 3), end=types.Position(0, 5))
    params.context.selected_completion_info = types.SelectedCompletionInfo(range=selected, text="append")

    answer = await client.text_document_inline_completion_async(params)

    assert isinstance(answer, types.InlineCompletionList)
    assert (answer.items[0].insert_text, answer.items[0].range) == ("appendnext", selected)


async def test_in_a_document_that_is_not_open_nothing_is_offered(client: Client) -> None:
    assert await client.complete(0, 0, uri="file:///etc/hostname") is None


async def test_positions_outside_the_document_are_answered(client: Client) -> None:
    client.open("")

    item = await client.complete(7, 7)

    assert item is not None
    assert item.range == types.Range(start=types.Position(0, 0), end=types.Position(0, 0))


async def test_cancelling_stops_the_computing_and_its_energy_is_counted(client: Client) -> None:
    client.open("hold")
    request = asyncio.ensure_future(client.request(types.TEXT_DOCUMENT_INLINE_COMPLETION, params=HELD))
    await client.status(lambda status: not status.quiescent)

    client.cancel_request(types.CancelParams(id="raw-1"))

    with pytest.raises(JsonRpcRequestCancelled):
        await request
    energy = await client.energy(lambda energy: energy.cancelled == 1)
    assert (energy.requests, energy.offered, energy.energy_j) == (1, 0, 2.0)
    await client.status(lambda status: status.quiescent)


@BOTH_WAYS
async def test_of_fifty_requests_the_newest_is_answered(client: Client) -> None:
    client.open("hold\nx")

    answers = await asyncio.gather(*(client.complete(0, 4) for _ in range(50)), client.complete(1, 1))

    assert [n for n, answer in enumerate(answers) if answer is not None] == [50]
    energy = await client.energy(lambda energy: energy.offered == 1)
    assert energy.requests == energy.cancelled + 1


@BOTH_WAYS
async def test_closing_a_document_stops_what_it_asked(client: Client) -> None:
    client.open("hold")
    request = asyncio.ensure_future(client.complete(0, 4))
    await client.status(lambda status: not status.quiescent)

    client.text_document_did_close(
        types.DidCloseTextDocumentParams(text_document=types.TextDocumentIdentifier(uri=URI))
    )

    assert await request is None


async def test_resetting_begins_a_new_session_and_the_ledger_keeps_the_old(client: Client) -> None:
    client.open("x")
    await client.complete(0, 1)
    before = await client.energy(lambda energy: energy.requests == 1)

    after = await client.request(RESET_SESSION)
    history = await client.request(HISTORY, params={"by": "day", "days": 7, "country": "FRA"})

    assert (after.requests, after.energyJ) == (0, None)
    assert after.sessionId != before.session_id
    assert [(day.requests, day.energyJ, day.provenance) for day in history.periods] == [(1, 2.0, "measured")]
    assert (history.total.energyJ, history.total.prefillJ, history.total.wastedJ) == (2.0, 0.5, 2.0)
    assert "France" in history.carbonSource

    await client.request(CLEAR_HISTORY)
    history = await client.request(HISTORY, params={"by": "session", "days": 7, "country": ""})
    assert (history.periods, history.total, history.carbonSource) == ([], None, None)
