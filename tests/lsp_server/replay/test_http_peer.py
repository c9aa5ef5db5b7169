"""A person, an editor, and a small HTTP server that answers as llama.cpp's does."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from engine.completion.kept import kept_characters
from engine.errors import ConfigError, EngineError
from lsp_server.replay.http_peer import HttpPeer, PeerClient
from lsp_server.replay.replay import Stretch, replay

pytestmark = pytest.mark.timeout(60)

STRETCH = Stretch(file="a.py", language_id="python", before="a = 1\n", text="a = [\n    next(b)]", after="\nb = 2\n")
QUIET = PeerClient(asks_ahead=False, looks_again_s=0.001)


class _Llama(BaseHTTPRequestHandler):
    """Answers every request with the same candidates, or refuses it."""

    bodies: list[dict[str, Any]] = []  # noqa: RUF012 - shared with the test on purpose
    texts: list[str] = []  # noqa: RUF012 - likewise
    gate = threading.Event()
    refusal: dict[str, Any] | None = None

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_trial = body["n_predict"] == 1
        if not is_trial:
            self.bodies.append({"path": self.path, **body})
            self.gate.wait()
        results = [{"content": text, "tokens_predicted": 2} for text in self.texts]
        answer = json.dumps(self.refusal or results).encode()
        self.send_response(501 if self.refusal else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def llama() -> Iterator[str]:
    _Llama.bodies.clear()
    _Llama.texts[:] = ["next", "none", "next"]
    _Llama.refusal = None
    _Llama.gate.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Llama)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    _Llama.gate.set()
    server.shutdown()
    thread.join()
    server.server_close()


async def opened(url: str, client: PeerClient, text: str) -> HttpPeer:
    peer = HttpPeer(url, client)
    await peer.begin("python", text)
    return peer


async def offered(peer: HttpPeer, offset: int) -> str | None:
    offer = await peer.ask(offset)
    return None if offer is None else offer.text


async def test_a_peer_is_asked_as_its_own_client_asks(llama: str) -> None:
    run = await replay("peer", HttpPeer(llama, PeerClient()), STRETCH, seed=3, accepted=kept_characters)

    first = _Llama.bodies[0]
    assert (first["path"], first["n_predict"], first["n_cmpl"], first["id_slot"]) == ("/infill", 128, 3, 0)
    assert (first["input_prefix"], first["prompt"], first["input_suffix"]) == ("a = 1\n", "a", "\nb = 2\n\n")
    assert run.costs.computed == len(_Llama.bodies)
    assert run.costs.computed > run.asked - run.costs.reused - run.costs.skipped  # it asks ahead
    assert run.costs.tokens == 6 * run.costs.computed
    assert (run.costs.energy_j, run.kept_chars) == (None, 4)
    assert run.costs.cpu_s is not None
    assert run.broken_rules == []


async def test_a_model_that_goes_on_gets_one_prompt_and_the_least_indentation(llama: str) -> None:
    peer = await opened(llama, PeerClient(endpoint="/completion", asks_ahead=False), "if a:\n    b\nc\n")

    await peer.ask(11)

    body = _Llama.bodies[0]
    assert (body["path"], body["prompt"], body["n_indent"]) == ("/completion", "if a:\n    b", 4)


async def test_a_model_that_goes_on_is_given_the_indentation_of_a_blank_line(llama: str) -> None:
    peer = await opened(llama, PeerClient(endpoint="/completion", asks_ahead=False), "if a:\n    \nc\n")

    blank = await offered(peer, 10)
    peer.edit(10, 0, "ne")
    typed = await offered(peer, 12)

    assert (blank, typed) == ("next", "xt")
    assert [body["prompt"] for body in _Llama.bodies] == ["if a:\n    "]


async def test_what_is_being_typed_is_remembered_of_every_candidate(llama: str) -> None:
    peer = await opened(llama, QUIET, "x\n")
    assert await offered(peer, 1) == "next"

    peer.edit(1, 0, "n")
    both = await offered(peer, 2)
    peer.edit(2, 0, "o")
    second = await offered(peer, 3)

    assert (both, second, len(_Llama.bodies)) == ("ext", "ne", 1)


async def test_the_first_candidate_that_repeats_nothing_is_shown(llama: str) -> None:
    peer = await opened(llama, QUIET, "\nnext\nx\n")

    assert await offered(peer, 0) == "none"


async def test_the_rest_of_a_suggestion_waits_below_and_what_follows_it_is_asked_ahead(llama: str) -> None:
    _Llama.texts[:] = ["    b()\n    c()"]
    peer = await opened(llama, PeerClient(), "    ")
    assert await offered(peer, 4) == "b()\n    c()"

    peer.edit(4, 0, "b()\n    ")
    below = await offered(peer, 12)
    costs = await peer.end(())

    assert (below, costs.reused) == ("c()", 1)
    assert {body["prompt"] for body in _Llama.bodies} == {"", "    c()"}


async def test_nothing_is_asked_ahead_in_the_middle_of_a_line(llama: str) -> None:
    peer = await opened(llama, PeerClient(), "f()\n")

    assert await offered(peer, 2) == "next"
    assert (await peer.end(())).computed == 1


async def test_nothing_is_asked_before_much_text(llama: str) -> None:
    peer = await opened(llama, QUIET, "f(a, b, c, d)\n")

    assert await offered(peer, 2) is None
    costs = await peer.end(())
    assert (costs.computed, costs.skipped) == (0, 1)


async def test_of_waiting_requests_a_peer_gets_the_last_one_that_is_still_wanted(llama: str) -> None:
    peer = await opened(llama, QUIET, "abcdef\n")
    _Llama.gate.clear()
    sent, waiting, last = (asyncio.create_task(peer.ask(offset)) for offset in (4, 5, 6))
    while not _Llama.bodies:
        await asyncio.sleep(0)
    sent.cancel()
    waiting.cancel()
    _Llama.gate.set()

    assert await last is not None
    costs = await peer.end(())

    assert [body["prompt"] for body in _Llama.bodies] == ["abcd", "abcdef"]
    assert (costs.computed, costs.cancelled, costs.skipped) == (2, 1, 1)


async def test_a_refusal_is_told_before_typing_begins_in_the_serverskept_characters(llama: str) -> None:
    _Llama.refusal = {"error": {"message": "Infill is not supported by this model. "}}

    with pytest.raises(EngineError, match=r"refused to complete: Infill is not supported by this model\.$"):
        await opened(llama, PeerClient(), "")


async def test_a_refusal_on_the_way_is_not_lost(llama: str) -> None:
    peer = await opened(llama, QUIET, "x\n")
    _Llama.refusal = {"error": "short"}

    with pytest.raises(EngineError):
        await peer.ask(1)
    with pytest.raises(EngineError, match=r"refused to complete: short\.$"):
        await peer.end(())


async def test_nobody_there_is_told_in_one_sentence() -> None:
    with pytest.raises(EngineError, match=r"^The server at http://127\.0\.0\.1:1 did not answer: .*refused\.$"):
        await opened("http://127.0.0.1:1", PeerClient(), "")


def test_an_address_has_a_scheme() -> None:
    with pytest.raises(ConfigError, match="write it as http"):
        HttpPeer("127.0.0.1:8012", PeerClient())


async def test_the_time_of_another_machine_is_not_that_of_this_one(llama: str) -> None:
    elsewhere = HttpPeer(llama.replace("127.0.0.1", "peer.example"), QUIET)

    assert elsewhere._process is None
