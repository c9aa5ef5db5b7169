"""Where nothing is offered over stdio, around a fake engine, and what the person is told about it."""

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest
from lsprotocol import types

from lsp_server.protocol import SNOOZE
from tests.lsp_server.client import (
    BOTH_WAYS,
    URI,
    Client,
    completion_params,
    initialize,
)

pytestmark = pytest.mark.timeout(60)


async def test_where_a_suggestion_is_hardly_ever_kept_only_a_request_by_hand_is_computed(client: Client) -> None:
    client.change_settings({"greenMode": 100, "skipUnlikely": True})
    client.open("count = (1)")

    assert await client.complete(0, 11) is None
    energy = await client.energy(lambda energy: energy.skipped == 1)
    assert energy.requests == 0
    assert await client.complete(0, 11, invoked=True) is not None


async def test_in_comments_and_strings_nothing_is_offered_if_so_set_unless_asked_by_hand(client: Client) -> None:
    client.change_settings({"inComments": False, "inStrings": False})
    client.open("# word\nx = 'word\nword")

    answers = [await client.complete(line, length) for line, length in ((0, 6), (1, 9), (2, 4))]

    assert [answer is not None for answer in answers] == [False, False, True]
    assert await client.complete(0, 6, invoked=True) is not None


async def test_a_snoozing_server_answers_only_who_asks_by_hand(client: Client) -> None:
    client.open("x")
    await client.request(SNOOZE, params={"minutes": 5})
    status = await client.status(lambda status: status.message != "")
    automatic, by_hand = await client.complete(0, 1), await client.complete(0, 1, invoked=True)

    assert (status.health, status.message.partition(" until ")[0]) == ("ok", "Snoozed")
    assert automatic is None
    assert by_hand is not None

    await client.request(SNOOZE, params={"minutes": 0})

    await client.status(lambda status: status.message == "")
    assert await client.complete(0, 1) is not None


# Neovim leaves what it showed in sight at null, and would insert it where it was offered.
async def test_nothing_to_offer_is_an_empty_list(client: Client) -> None:
    client.open("nothing")

    answer = await client.text_document_inline_completion_async(completion_params(0, 7))

    assert answer == types.InlineCompletionList(items=())
    assert (await client.energy(lambda energy: energy.requests == 1)).offered == 0


async def test_whoever_has_asked_again_since_is_answered_with_null(client: Client) -> None:
    client.change_settings({"debounceMs": 60})
    client.open("nothing")

    ask = client.text_document_inline_completion_async
    answers = await asyncio.gather(*(ask(completion_params(0, 7)) for _ in range(3)))

    assert answers == [None, None, types.InlineCompletionList(items=())]


@BOTH_WAYS
async def test_a_computation_overtaken_by_another_is_answered_with_null(client: Client) -> None:
    client.open("hold\nx")
    held = asyncio.ensure_future(client.text_document_inline_completion_async(completion_params(0, 4)))
    await client.status(lambda status: not status.quiescent)

    assert await client.complete(1, 1) is not None
    assert await held is None


async def test_what_is_switched_off_is_answered_with_nothing_and_not_counted(client: Client) -> None:
    client.open("x", language_id="markdown")
    client.change_settings({"languages": {"markdown": False}})
    assert await client.complete(0, 1) is None
    client.change_settings({"enable": False})
    assert await client.complete(0, 1) is None
    client.change_settings({})
    await client.status(lambda status: status.model is not None and status.quiescent)  # it was given back meanwhile
    assert await client.complete(0, 1) is not None

    assert (await client.energy(lambda energy: energy.requests > 0)).requests == 1


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("file:///project/.env", ".env stays private: .env is a usual name of secrets."),
        ("untitled:/project/tls.key", "tls.key stays private: *.key is a usual name of secrets."),
        ("file:///project/mine.py", "mine.py stays private: the setting greenCode.privateFiles has mine.*."),
    ],
)
async def test_a_private_file_is_not_completed_and_the_status_says_why(client: Client, uri: str, sentence: str) -> None:
    client.change_settings({"privateFiles": ["mine.*"]})
    client.open("x", uri=uri)
    client.open("x")

    assert await client.complete(0, 1, uri=uri) is None
    status = await client.status(lambda status: status.message != "")
    assert (status.health, status.message) == ("ok", sentence)
    assert await client.complete(0, 1) is not None
    await client.status(lambda status: status.message == "")
    assert client.messages == []


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (
            "crash",
            "A completion failed (RuntimeError: CUDA error: an illegal memory access); the log has the details.",
        ),
        ("refuse", "The policy learned does not fit the model fake."),
    ],
)
async def test_a_failed_request_is_a_warning_until_the_next_success(client: Client, order: str, sentence: str) -> None:
    client.open(f"x\n{order}")

    assert await client.complete(1, len(order)) is None
    assert (await client.status(lambda status: status.health == "warning")).message == sentence
    assert await client.complete(0, 1) is not None
    assert (await client.status(lambda status: status.health == "ok")).message == ""
    assert [message.message for message in client.log_messages if "Traceback" in message.message] == []


@pytest.mark.parametrize(
    ("settings", "uri", "text", "reason"),
    [
        ({"enable": False}, URI, "x", "Completions are switched off (greenCode.enable)."),
        ({"languages": {"Python": False}}, URI, "x", 'switched off for the language "python"'),
        ({"privateFiles": ["a.py"]}, URI, "x", "a.py stays private: the setting greenCode.privateFiles has a.py."),
        ({}, "file:///project/.env", "x", ".env stays private"),
        ({}, URI, "nothing", "The model found nothing worth showing at this place."),
        ({}, URI, "refuse", "The policy learned does not fit the model fake."),
        ({"model": "missing"}, URI, "x", "tries again in 30 seconds"),
        ({"model": "slow"}, URI, "x", "Fetching the model"),
    ],
)
async def test_whoever_asks_by_hand_in_vain_is_told_why(
    server: AbstractAsyncContextManager[Client], settings: dict[str, object], uri: str, text: str, reason: str
) -> None:
    async with server as client:
        await initialize(client, settings)
        if settings.get("model") == "slow":
            await client.status(lambda status: "Fetching" in status.message)
        elif settings.get("enable", True):
            await client.status(lambda status: status.quiescent and (bool(status.model) or status.health == "error"))
        client.open(text, uri=uri)

        item = await client.complete(0, len(text), uri=uri, invoked=True)

        assert item is None
        assert reason in await client.hints.newest(bool)


@pytest.mark.parametrize(
    ("settings", "text", "reason"),
    [
        ({"inComments": False}, "x = 1  # and", "Completions are off in comments (greenCode.inComments)"),
        ({"inStrings": False}, "x = 'and", "Completions are off in strings (greenCode.inStrings)"),
        ({"skipUnlikely": True, "greenMode": 100}, "count = (1)", "greenCode.skipUnlikely"),
    ],
)
async def test_the_status_says_why_nothing_was_offered_at_the_last_place(
    server: AbstractAsyncContextManager[Client], settings: dict[str, object], text: str, reason: str
) -> None:
    async with server as client:
        await initialize(client, settings)
        await client.ready()
        client.open(text)

        line, column = text.count("\n"), len(text.rpartition("\n")[2])
        assert await client.complete(line, column) is None
        await client.status(lambda status: reason in status.message)

        assert await client.complete(line, column, invoked=True) is not None  # by hand it is asked for all the same
        await client.status(lambda status: not status.message)
