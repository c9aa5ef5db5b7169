"""Servers that share one engine: each has what it would have alone, and nothing of another's."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from typing import TYPE_CHECKING

import pytest

from engine.config import EngineConfig
from engine.errors import EngineError, EngineLostError, ModelNotFoundError, NeverBegunError
from engine.service.endpoint import Endpoint
from engine.types import PROJECT_ALONE, CompletionRequest, FinishReason, NeverCancelled, ProjectDocument
from lsp_server.suggest.seams import CancellationEvent
from tests.engine.service.hosted import PATIENCE_S, SHARED, Asked, Hosted, hosted, until
from tests.fakes import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def host(meeting: Path) -> Iterator[Hosted]:
    with hosted(meeting) as host:
        yield host


def request(prefix: str, project: str | None = None) -> CompletionRequest:
    return CompletionRequest(
        prefix=prefix, in_project=None if project is None else ProjectDocument(project=project, file="a")
    )


def test_the_answer_is_the_engines_own(host: Hosted) -> None:
    engine, alone = host.opened(), FakeEngine()

    answer = engine.complete(request("x \ud83d"), cancellation=CancellationEvent(), on_text=lambda _: None)

    assert answer == alone.complete(request("x \ud83d"), cancellation=NeverCancelled(), on_text=lambda _: None)
    assert (
        engine.model_name,
        engine.device_name,
        engine.layers_total,
        engine.energy_source,
        engine.meters_refused,
    ) == (
        alone.model_name,
        alone.device_name,
        alone.layers_total,
        alone.energy_source,
        alone.meters_refused,
    )


def test_text_grows_as_it_is_computed(host: Hosted) -> None:
    engine = host.opened()
    host.engine.word_s = None
    asked = Asked(engine, request("slowly"))

    until(host.engine.started.is_set)
    host.engine.go.release()
    until(lambda: asked.texts == ["", "one"])
    host.engine.go.release(2)

    assert asked.answer().text == "one two three"
    assert asked.texts == ["", "one", "one two", "one two three"]


def test_to_ask_a_project_alone_waits_for_nobodys_turn(host: Hosted) -> None:
    held = Asked(host.opened(), request("hold"))
    until(host.engine.started.is_set)
    other = host.opened()

    found = Asked(other, replace(request("known", "p"), policy=PROJECT_ALONE)).answer()

    assert (found.text, held.is_answered) == (" to all", False)
    held.cancellation.cancel()
    held.answer()


def test_who_needs_little_does_not_wait_for_a_long_prompt(host: Hosted) -> None:
    reading = Asked(host.opened(), request("long"))
    until(host.engine.started.is_set)
    another, short = Asked(host.opened(), request("long")), Asked(host.opened(), request("x"))

    assert short.answer().text == "next"
    assert (reading.is_answered, another.is_answered) == (False, False)
    host.engine.go.release()
    reading.answer()
    assert not another.is_answered
    host.engine.go.release()
    another.answer()
    assert [asked.prefix for asked in host.engine.requests] == ["long", "x", "long"]


def test_what_is_being_computed_can_be_stopped(host: Hosted) -> None:
    asked = Asked(host.opened(), request("hold"))
    until(host.engine.started.is_set)

    asked.cancellation.cancel()

    assert asked.answer().finish_reason is FinishReason.CANCELLED


def test_one_model_is_loaded_for_all(host: Hosted) -> None:
    first, second = host.opened(), host.opened()

    assert Asked(first, request("x")).answer().text == Asked(second, request("x")).answer().text == "next"
    assert (host.loads, host.engine.n_windows) == (1, 2)


def test_a_request_that_waits_for_its_turn_can_be_taken_back(host: Hosted) -> None:
    first, second = host.opened(), host.opened()
    held = Asked(first, request("hold"))
    until(host.engine.started.is_set)
    waiting = Asked(second, request("x"))

    waiting.cancellation.cancel()

    with pytest.raises(NeverBegunError):
        waiting.answer()
    held.cancellation.cancel()
    held.answer()
    assert [asked.prefix for asked in host.engine.requests] == ["hold"]


def test_a_text_arrives_whole_behind_those_that_were_taken_back_or_refused(host: Hosted) -> None:
    held, engine = Asked(host.opened(), request("hold")), host.opened()
    until(host.engine.started.is_set)
    taken_back = Asked(engine, request("a document"))
    taken_back.cancellation.cancel()
    with pytest.raises(NeverBegunError):
        taken_back.answer()
    held.cancellation.cancel()
    with pytest.raises(EngineError):
        Asked(engine, request("a document to refuse")).answer()

    Asked(engine, request("a document to read")).answer()

    assert host.engine.requests[-1].prefix == "a document to read"


def test_a_server_that_dies_takes_its_request_along(host: Hosted) -> None:
    first, second = host.opened(), host.opened()
    held = Asked(first, request("hold"))
    until(host.engine.started.is_set)
    other = Asked(second, request("x"))

    first.close()

    assert other.answer().text == "next"
    with pytest.raises(EngineLostError):
        held.answer()


def test_failures_keep_their_kind_and_the_engine_goes_on(host: Hosted) -> None:
    engine = host.opened()

    with pytest.raises(EngineError, match=r"^The policy learned does not fit the model fake\.$"):
        Asked(engine, request("refuse")).answer()
    with pytest.raises(EngineError, match=r"RuntimeError: CUDA error: an illegal memory access\)"):
        Asked(engine, request("crash")).answer()
    assert Asked(engine, request("x")).answer().text == "next"


def test_projects_are_each_servers_own_and_go_with_it(host: Hosted) -> None:
    first, second = host.opened(), host.opened()
    mine, others = first.project("/p"), second.project("/p")

    assert mine.replace("a.py", "price = \ud83d")
    assert others.replace("b.py", "cost = 1")
    assert not mine.is_due
    assert (0.0 if sys.platform == "win32" else 1e-9) <= mine.cpu_elsewhere_s < 30.0  # Windows counts in 16 ms
    mine.sort()
    held = {number: host.engine.projects.text(f"{number}/p".replace("/p", "//p")) for number in (0, 1)}
    assert sorted(text.names for text in held.values()) == [("a.py",), ("b.py",)]
    Asked(first, request("x", project="/p")).answer()
    (place,) = [asked.in_project for asked in host.engine.requests if asked.in_project is not None]
    assert host.engine.projects.text(place.project).names == ("a.py",)

    first.close()
    until(lambda: host.engine.projects.text(place.project).names == ())
    assert others.replace("c.py", "x")
    others.remove("b.py")
    others.sort()
    assert [text.names for text in held.values() if text.names] == [("c.py",)]
    others.clear()
    others.sort()
    assert [text.names for text in held.values() if text.names] == []


def test_a_load_tells_its_progress_and_its_failure(meeting: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    with hosted(meeting, EngineConfig(model="missing", shared=True)) as host:
        with pytest.raises(ModelNotFoundError, match="The model missing is neither in the cache nor on the hub"):
            host.opened(lambda *news: told.append(news))
        with pytest.raises(ModelNotFoundError):
            host.opened()

        assert told == [("Fetching the model", 1, 4)]
        assert host.loads == 2


def test_a_fault_while_loading_is_told_in_a_sentence(meeting: Path) -> None:
    with (
        hosted(meeting, EngineConfig(model="broken", shared=True)) as host,
        pytest.raises(
            EngineError, match=r"The model broken could not be loaded \(RuntimeError: tensor shapes differ\)"
        ),
    ):
        host.opened()


class _EnoughError(Exception):
    pass


def test_a_load_that_nobody_waits_for_any_more_is_given_up(meeting: Path) -> None:
    def give_up(message: str, done: int, total: int | None) -> None:
        if done == 2:
            raise _EnoughError

    with hosted(meeting, EngineConfig(model="slow", shared=True)) as host:
        for count in (1, 2):
            with pytest.raises(_EnoughError):
                host.opened(give_up)
            until(lambda count=count: host.loads == host.ended_loads == count)  # type: ignore[misc]


def test_an_engine_that_ends_is_lost_to_all_that_wait_and_will_ask(meeting: Path) -> None:
    host = Hosted(meeting)
    first, second = host.opened(), host.opened()
    host.engine.word_s = None
    asked = Asked(first, request("slowly"))
    until(host.engine.started.is_set)
    waiting = Asked(second, request("x"))
    until(lambda: len(host.host._turns._work) == 2 and any(host.host._turns._work.values()))
    host.host.end()
    host.engine.go.release(3)
    host.end()

    assert asked.answer().text == "one two three"  # it was nearly done
    for ask in (
        waiting.answer,
        lambda: Asked(second, request("x")).answer(),
        lambda: second.project("/p").replace("a", ""),
    ):
        with pytest.raises(EngineLostError):
            ask()
    second.project("/p").clear()
    second.close()


def test_a_server_that_reads_nothing_keeps_nobody_waiting(host: Hosted) -> None:
    """It asks for much, and lets the answers lie."""
    engine = host.opened()
    deaf = Endpoint.of(SHARED, host.folder).connect()
    assert deaf is not None
    for number in range(1, 2000):
        call = {"do": "project", "id": number, "name": "p", "call": "is_due", "arguments": []}
        deaf.send_bytes(json.dumps(call).encode())

    assert Asked(engine, request("x")).answer().text == "next"
    deaf.close()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"[]",
        b"{}",
        b'{"do":"fly"}',
        b'{"do":"project","id":1,"name":"p","call":"close","arguments":[]}',
        b'{"do":"complete","id":1,"request":{}}',
    ],
)
def test_nonsense_ends_the_connection_that_it_came_by(host: Hosted, nonsense: bytes) -> None:
    engine = host.opened()
    other = Endpoint.of(SHARED, host.folder).connect()
    assert other is not None
    other.send_bytes(nonsense)

    assert other.poll(PATIENCE_S)
    with pytest.raises(EOFError):
        other.recv_bytes()
    assert Asked(engine, request("x")).answer().text == "next"


def test_whoever_does_not_know_the_token_is_not_let_in(host: Hosted) -> None:
    engine = host.opened()
    (notice,) = host.folder.glob("*.json")
    address = json.loads(notice.read_text())["address"]
    silent = Client(address)  # it never proves anything

    with pytest.raises((AuthenticationError, EOFError, ConnectionError)):
        Client(address, authkey=b"guessed")
    assert Asked(engine, request("x")).answer().text == "next"
    silent.close()


def test_sixty_four_at_once_are_all_answered(host: Hosted) -> None:
    engines = [host.opened() for _ in range(64)]
    asked = [Asked(engine, request("x")) for _ in range(3) for engine in engines]

    assert {one.answer().text for one in asked} == {"next"}


def test_a_long_document_comes_through(host: Hosted) -> None:
    long = "é = 1\n" * 500_000

    Asked(host.opened(), request(long + "x")).answer()

    assert host.engine.requests[-1].prefix == long + "x"


def test_it_ends_when_nobody_has_been_there_for_long(meeting: Path) -> None:
    host = Hosted(meeting, linger_s=0.1)
    engine = host.opened()
    threading.Timer(0.05, engine.close).start()

    host.thread.join(PATIENCE_S)

    assert host.engine.is_closed
    assert list(host.folder.glob("*.json")) == []


def test_an_engine_that_can_answer_no_more_says_why_before_it_ends(host: Hosted) -> None:
    first, second = host.opened(), host.opened()

    def complete(*_: object, **__: object) -> None:
        raise EngineLostError("Its files were changed.")

    host.engine.complete = complete  # type: ignore[method-assign, assignment]

    with pytest.raises(EngineLostError, match="files were changed"):
        Asked(first, request("x")).answer()
    host.thread.join(PATIENCE_S)
    assert not host.thread.is_alive()
    with pytest.raises(EngineLostError, match="The engine has ended"):
        Asked(second, request("x")).answer()
