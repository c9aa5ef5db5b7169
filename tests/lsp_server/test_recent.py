"""What a server tells of its newest requests, over stdio, around a fake engine."""

import pytest

from lsp_server.books.recent import MOST_KEPT
from lsp_server.protocol import RECENT
from tests.lsp_server.client import Client

pytestmark = pytest.mark.timeout(60)


async def test_each_request_is_told_with_what_became_of_it_and_why(client: Client) -> None:
    client.change_settings({"languages": {"markdown": False}})
    client.open("x")
    client.open("x", uri="file:///project/notes.md", language_id="markdown")
    client.open("KEY=1", uri="file:///project/.env", language_id="dotenv")

    computed = await client.complete(0, 1)
    assert await client.complete(0, 1) is not None
    assert await client.complete(0, 1, uri="file:///project/notes.md") is None
    assert await client.complete(0, 5, uri="file:///project/.env", invoked=True) is None
    first, second, third, fourth = (await client.request(RECENT)).requests

    assert computed is not None
    assert (first.outcome, first.language, first.byHand, first.reason) == ("computed", "python", False, "")
    assert (first.offeredChars, first.energyJ) == (len(str(computed.insert_text)), 2.0)
    assert first.elapsedS > 0
    assert (second.outcome, second.offeredChars, second.energyJ) == ("reused", first.offeredChars, None)
    assert (third.outcome, third.energyJ) == ("skipped", None)
    assert 'switched off for the language "markdown"' in third.reason
    assert (fourth.outcome, fourth.byHand, fourth.reason) == ("skipped", True, "The file stays private.")


async def test_a_failure_is_told_and_only_the_newest_are_kept(client: Client) -> None:
    client.open("x\nrefuse")
    for _ in range(MOST_KEPT + 5):
        await client.complete(0, 1)
    await client.complete(1, 6)

    requests = (await client.request(RECENT)).requests

    assert len(requests) == MOST_KEPT
    assert requests[-1].reason == "The policy learned does not fit the model fake."
