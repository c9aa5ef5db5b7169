"""Settings that come over stdio, and the fake engine that is loaded as they say."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from lsprotocol import types

from lsp_server.protocol import RECENT
from tests.lsp_server.client import (
    BOTH_WAYS,
    Client,
    capabilities,
    fake_server,
    initialize,
    started,
)

pytestmark = pytest.mark.timeout(60)


async def test_the_green_mode_reaches_the_engine_without_a_new_one(client: Client) -> None:
    client.change_settings({"greenMode": 0})
    client.open("x")
    await client.complete(0, 1)
    assert (await client.energy(lambda energy: energy.requests == 1)).last_mean_exit_layer == 4.0
    loaded = len(client.statuses.messages)

    client.change_settings({"greenMode": 50})
    await client.complete(0, 1)

    energy = await client.energy(lambda energy: energy.requests == 2)
    assert (energy.last_mean_exit_layer, energy.green_mode) == (2.0, 50)
    assert not [status for status in client.statuses.messages[loaded:] if status.model is None]


async def test_settings_are_pulled_by_a_server_whose_client_can_be_asked(
    server: AbstractAsyncContextManager[Client],
) -> None:
    async with server as client:
        client.set_configuration({"greenCode": {"greenMode": 11}})
        await initialize(client, client_capabilities=capabilities(pulls=True))
        await client.ready()
        await client.energy(lambda energy: energy.green_mode == 11)

        client.set_configuration({"greenCode": {"greenMode": 12}})
        client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings=None))

        await client.energy(lambda energy: energy.green_mode == 12)


async def test_a_client_that_wants_a_registration_gets_one(server: AbstractAsyncContextManager[Client]) -> None:
    registered: list[types.Registration] = []
    async with server as client:
        client.feature(types.CLIENT_REGISTER_CAPABILITY)(lambda params: registered.extend(params.registrations))
        await initialize(client, client_capabilities=capabilities(registers=True))
        await client.ready()

    assert [registration.method for registration in registered] == ["workspace/didChangeConfiguration"]


async def test_a_bad_setting_is_told_once_and_its_default_used(client: Client) -> None:
    client.change_settings({"greenMode": 400, "maxNewTokens": 3})
    status = await client.status(lambda status: status.health == "warning")
    client.change_settings({"greenMode": 400, "maxNewTokens": 4})
    client.change_settings({"greenMode": 20})
    await client.status(lambda status: status.health == "ok")

    sentence = "The setting greenCode.greenMode cannot be 400: use a whole number from 0 to 100; until then it is 20."
    assert status.message == sentence
    assert [message.message for message in client.messages] == [sentence]
    assert sentence in [message.message for message in client.log_messages]


@BOTH_WAYS
async def test_another_model_is_loaded_when_the_setting_says_so(client: Client) -> None:
    client.change_settings({"model": "org/other"})

    await client.status(lambda status: status.model == "org/other" and status.quiescent)


@BOTH_WAYS
@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            "missing",
            (
                "The model missing is neither in the cache nor on the hub. "
                "Green Code tries again in 30 seconds, and whenever a suggestion is asked for by hand."
            ),
        ),
        (
            "broken",
            "The model broken could not be loaded (RuntimeError: tensor shapes differ); the log has the details.",
        ),
    ],
)
async def test_a_failed_load_is_told_and_tried_again_with_other_settings(
    server: AbstractAsyncContextManager[Client], model: str, sentence: str
) -> None:
    async with server as client:
        await initialize(client, {"model": model})
        status = await client.status(lambda status: status.health == "error")
        client.open("x")
        unanswered = await client.complete(0, 1)

        client.change_settings({"model": "good"})
        await client.ready()

        assert (status.message, status.model, unanswered) == (sentence, None, None)
        assert await client.complete(0, 1) is not None


@BOTH_WAYS
async def test_while_the_model_loads_requests_are_answered_with_nothing(
    server: AbstractAsyncContextManager[Client],
) -> None:
    async with server as client:
        await initialize(client, {"model": "slow"})
        status = await client.status(lambda status: "%" in status.message)
        client.open("x")

        assert (status.health, status.quiescent) == ("ok", False)
        assert status.message in {"Fetching the model (25 %).", "Fetching the model (50 %)."}
        assert await client.complete(0, 1) is None

        client.change_settings({"model": "good"})  # gives the load up
        assert (await client.ready()).model == "good"


@BOTH_WAYS
async def test_while_another_precision_is_prepared_the_model_that_is_there_answers(client: Client) -> None:
    client.open("x")
    client.change_settings({"precision": "int4"})
    status = await client.status(lambda status: "%" in status.message)

    assert status.message == "Rounding the weights (25 %). Until then suggestions come from the model that is loaded."
    assert (status.health, status.model is None) == ("ok", False)
    assert await client.complete(0, 1) is not None

    client.change_settings({"precision": "int8"})  # gives it up
    await client.ready()
    assert await client.complete(0, 1) is not None


async def test_what_cannot_be_prepared_is_told_and_nothing_else_answers_for_it(client: Client) -> None:
    client.open("x")
    client.change_settings({"precision": "fp32"})
    status = await client.status(lambda status: status.health == "error")

    assert (status.message, status.model) == ("The weights cannot be read.", None)
    assert await client.complete(0, 1) is None

    client.change_settings({"precision": "auto"})
    await client.ready()
    assert await client.complete(0, 1) is not None


async def test_a_server_that_still_prepares_ends_in_time(server: AbstractAsyncContextManager[Client]) -> None:
    async with server as client:
        await initialize(client)
        await client.ready()
        client.change_settings({"precision": "int4"})
        await client.status(lambda status: "%" in status.message)


async def test_a_disabled_server_loads_nothing_until_it_is_enabled(
    server: AbstractAsyncContextManager[Client],
) -> None:
    async with server as client:
        await initialize(client, {"enable": False})
        status = await client.status(lambda status: status.quiescent)

        client.change_settings({"enable": True})

        assert status.model is None
        await client.ready()


async def test_a_load_is_shown_in_the_clients_progress_bar(server: AbstractAsyncContextManager[Client]) -> None:
    async with server as client:
        await initialize(client, {"model": "slow"}, capabilities(shows_progress=True))
        half_way: object = types.WorkDoneProgressReport(message="Fetching the model", percentage=50)
        # Before it comes that of a quarter, where the client agrees to a bar in time.
        while not any(half_way in reports for reports in client.progress_reports.values()):
            await asyncio.wait_for(client.wait_for_notification(types.PROGRESS), 30)
        client.change_settings({"model": "good"})
        await client.ready()

    of_slow_load: list[object] = list(next(iter(client.progress_reports.values())))
    assert isinstance(of_slow_load[0], types.WorkDoneProgressBegin)
    assert half_way in of_slow_load
    assert isinstance(of_slow_load[-1], types.WorkDoneProgressEnd)


@BOTH_WAYS
async def test_what_is_switched_off_gives_the_engine_back_and_on_again_loads_it(client: Client) -> None:
    client.open("x")
    client.change_settings({"enable": False})
    await client.status(lambda status: status.model is None and status.quiescent)
    assert await client.complete(0, 1) is None

    client.change_settings({})
    await client.ready()

    assert await client.complete(0, 1) is not None


@BOTH_WAYS
async def test_an_engine_that_nobody_uses_rests_and_the_next_key_wakes_it(
    ledger: Path, meeting: Path, engine_is: str
) -> None:
    async with started(*fake_server(ledger, meeting if engine_is == "shared" else None), "--minute", "1.0") as client:
        await initialize(client, {"restAfterMinutes": 1})
        await client.ready()
        client.open("x")
        await client.status(lambda status: status.model is None and status.quiescent)

        client.change_settings({"restAfterMinutes": 1, "logLevel": "debug"})  # in any window
        assert (await client.request(RECENT)).status.model is None

        client.type(0, 1, "y")

        await client.ready()
