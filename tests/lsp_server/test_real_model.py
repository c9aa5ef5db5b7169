"""The server as editors start it, with the real default model: `python -I -m lsp_server` in a hostile workspace."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcRequestCancelled

from lsp_server.protocol import DID_ACCEPT
from lsp_server.replay.golden_rules import broken_rules
from tests.lsp_server.client import URI, Client, initialize, started

pytestmark = [pytest.mark.model, pytest.mark.timeout(180)]

CODE = '''def factorial(n):
    """Returns n!."""
    if n == 0:
        return 1
    return '''
SETTINGS: dict[str, object] = {"device": "cpu", "greenMode": 0, "maxNewTokens": 12}
CONSTRUCTOR = """class Person:
    def __init__(self, name, age, city, country):
        self.name = name
        self.age ="""
LONG_CODE = "\n\n".join(CODE.replace("factorial", f"factorial_{n}") + f"n * factorial_{n}(n - 1)" for n in range(40))


@pytest.fixture
async def client(
    tmp_path: Path, default_model_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[Client]:
    """A loaded server, with the arguments that a test may name; its ledger is the test's own."""
    assert default_model_path.exists()
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "torch.py").write_text("raise SystemExit('imported from the workspace')")
    (workspace / "engine").mkdir()
    (workspace / "engine" / "__init__.py").write_text("raise SystemExit('imported from the workspace')")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    arguments: tuple[str, ...] = getattr(request, "param", ())
    async with started(sys.executable, "-I", "-m", "lsp_server", *arguments, cwd=workspace) as client:
        await initialize(client, SETTINGS)
        await client.ready()
        yield client


async def test_ghost_text_comes_from_the_model_with_its_joules(client: Client, tmp_path: Path) -> None:
    client.open(CODE)

    item = await client.complete(4, 11)
    energy = await client.energy(lambda energy: energy.requests == 1)

    assert item is not None
    assert isinstance(item.insert_text, str)
    assert "factorial(n" in item.insert_text
    assert energy.energy_j is not None
    assert energy.energy_j > 0
    assert energy.provenance in {"measured", "sampled", "modelled"}
    assert energy.layers_total == 30
    assert (tmp_path / "data" / "green-code" / "ledger.sqlite3").exists()


async def test_the_slider_changes_what_a_completion_costs(client: Client) -> None:
    client.open(CODE)
    await client.complete(4, 11)  # the prompt is in the cache from here on
    spent = [(await client.energy(lambda energy: energy.requests == 1)).energy_j]
    for n, green_mode in enumerate((0, 100), start=2):
        client.change_settings({**SETTINGS, "greenMode": green_mode, "reuse": False})
        await client.complete(4, 11)
        energy = await client.energy(lambda energy, n=n: energy.requests == n)  # type: ignore[misc] # bound by value
        spent.append(energy.energy_j)

    first, lossless, greenest = (joules or 0.0 for joules in spent)
    assert 0.0 < greenest - lossless < 0.8 * (lossless - first)


# An engine of its own has begun when it is busy; what a shared one has not begun yet costs nothing, and is not told.
@pytest.mark.parametrize("client", [("serve", "--in-process")], indirect=True)
async def test_cancelling_stops_the_decoder(client: Client) -> None:
    client.open(LONG_CODE)
    request = asyncio.ensure_future(
        client.request(
            types.TEXT_DOCUMENT_INLINE_COMPLETION,
            params={
                "textDocument": {"uri": URI},
                "position": {"line": 9999, "character": 0},
                "context": {"triggerKind": 2},
            },
        )
    )
    await client.status(lambda status: not status.quiescent)

    client.cancel_request(types.CancelParams(id="raw-1"))

    with pytest.raises(JsonRpcRequestCancelled):
        await request
    energy = await client.energy(lambda energy: energy.cancelled == 1)
    assert energy.tokens == 0  # it was still in its prompt of a thousand tokens


async def test_of_fifty_requests_while_typing_the_newest_is_answered(client: Client) -> None:
    client.open(CODE)

    answers = await asyncio.gather(*(client.complete(4, column) for column in [4] * 50), client.complete(4, 11))

    answered = [n for n, answer in enumerate(answers) if answer is not None]
    assert answered[-1] == 50
    # An answer that came while the others were still being asked serves those at its place for nothing.
    energy = await client.energy(lambda energy: energy.offered + energy.reused == len(answered))
    assert energy.requests == energy.cancelled + energy.offered <= 3


@pytest.mark.parametrize(("typed", "has_several_lines"), [("", True), ("  # in", False)])
async def test_behind_an_accepted_suggestion_come_the_next_lines(
    client: Client,
    typed: str,
    has_several_lines: bool,  # noqa: FBT001 - a case
) -> None:
    client.change_settings({**SETTINGS, "maxNewTokens": 32})
    client.open(CONSTRUCTOR)
    offered = await client.complete(3, 18)
    assert offered is not None
    assert offered.command is not None
    text = str(offered.insert_text)
    client.type(3, 18, text)
    accepted = types.ExecuteCommandParams(DID_ACCEPT, arguments=offered.command.arguments)
    await client.workspace_execute_command_async(accepted)
    client.type(3, 18 + len(text), typed)

    following = await client.complete(3, 18 + len(text) + len(typed))

    answer = "" if following is None else str(following.insert_text)
    assert answer.startswith("\n        self.city = city\n        self.country = ") is has_several_lines
    assert ("\n" in answer) is has_several_lines
    assert broken_rules(CONSTRUCTOR + text + typed, answer, "", "python") == ()
