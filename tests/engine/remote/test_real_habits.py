"""Habits of real servers, replayed as they were seen: vLLM 0.32.0, llama-cpp-python 0.3.36 and transformers 5.24.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import RemoteRefusedError
from engine.remote import reach
from engine.types import FinishReason
from tests.engine.remote.scripted_server import MODELS, ScriptedServer, events, loaded, request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.remote.remote_engine import RemoteEngine

pytestmark = pytest.mark.timeout(60)
CARD: dict[str, object] = MODELS["data"][0]  # type: ignore[assignment]
DIGITS = "x = [" + "1, " * 3000


class Reader(dict[str, tuple[int, Any]]):
    """A model of 512 positions, which counts what it reads and refuses more."""

    def __init__(self, server: ScriptedServer, status: int = 400, said: object = b"") -> None:
        super().__init__(server.answers)
        self["/v1/models"] = (200, {"data": [{**CARD, "max_model_len": 512}]})
        self._server, self._refusal = server, (status, said)
        self.tokens_a_char = 1.0

    def get(self, path: str, default: Any = None) -> Any:  # noqa: ANN401
        if path != "/v1/completions":
            return super().get(path, default)
        body = self._server.asked[-1][1]
        n_tokens = int(self.tokens_a_char * len(body["prompt"]))
        if n_tokens + body["max_tokens"] > 512:
            return self._refusal
        choices = [{"text": "foo", "finish_reason": "stop"}]
        return (200, [{"choices": choices, "usage": {"prompt_tokens": n_tokens}}, "[DONE]"])


def lengths(server: ScriptedServer) -> Iterator[int]:
    return (len(body["prompt"]) for _, body in server.asked)


@pytest.mark.parametrize("prefix", ["", "\n", " "])
def test_where_nothing_stands_no_server_is_asked(server: ScriptedServer, engine: RemoteEngine, prefix: str) -> None:
    completion = engine.complete(request(prefix, may_give_up=False))

    assert (completion.text, completion.tokens, server.asked) == ("", (), [])


@pytest.mark.parametrize(
    "refusal",
    [(400, {"error": {"message": "This model's maximum context length is 512 tokens."}}), (413, b""), (200, [])],
)
def test_less_of_the_document_is_sent_where_more_is_refused(
    server: ScriptedServer, refusal: tuple[int, object]
) -> None:
    server.answers = reader = Reader(server, *refusal)
    engine = loaded(server)
    server.asked.clear()

    first, second = (engine.complete(request(DIGITS, may_give_up=False)) for _ in range(2))
    too_many, fitting, again = lengths(server)
    reader.tokens_a_char = 0.25
    for _ in range(2):
        engine.complete(request(DIGITS))
    *_, more = lengths(server)

    assert (first.text, second.text) == ("foo", "foo")
    assert 0 < fitting <= 512 - 48 < too_many
    assert (again, more) == (fitting, too_many)
    engine.close()


def test_what_is_refused_at_every_length_is_told(server: ScriptedServer, engine: RemoteEngine) -> None:
    server.answers["/v1/completions"] = (400, {"error": {"message": "No code here"}})

    for _ in range(2):
        server.asked.clear()
        with pytest.raises(RemoteRefusedError, match=r"refused to complete: No code here\.$"):
            engine.complete(request(DIGITS))
        assert len(server.asked) == 6


def test_who_gives_up_on_a_slow_server_asks_it_for_less(
    server: ScriptedServer, engine: RemoteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Soon:
        """Is cancelled before the answer begins."""

        is_cancelled = True

    engine.complete(request(DIGITS))
    monkeypatch.setattr(reach, "TOO_LATE_S", 0.0)
    left = engine.complete(request(DIGITS), cancellation=Soon())
    monkeypatch.undo()
    for _ in range(2):
        engine.complete(request(DIGITS))

    assert left.finish_reason is FinishReason.CANCELLED
    first, *_, last = lengths(server)
    assert last == first


@pytest.mark.parametrize(("green_mode", "text"), [(0, "first + second"), (20, "first +")])
def test_tokens_that_come_together_are_read_one_by_one(
    server: ScriptedServer, engine: RemoteEngine, green_mode: int, text: str
) -> None:
    told = {"tokens": ["first", " +", " second"], "token_logprobs": [-0.1, -0.1, -5.0]}
    said = {"choices": [{"text": "first + second", "logprobs": told, "finish_reason": "stop"}]}
    server.answers["/v1/completions"] = (200, [said, "[DONE]"])

    assert engine.complete(request("a = ", green_mode=green_mode)).text == text


def test_bytes_of_a_letter_are_no_text_yet(server: ScriptedServer, engine: RemoteEngine) -> None:
    def piece(text: str, *tokens: str) -> object:
        told = {"tokens": tokens, "token_logprobs": [-0.1] * len(tokens)}
        return {"choices": [{"text": text, "logprobs": told, "finish_reason": None}]}

    server.answers["/v1/completions"] = (
        200,
        [piece("", ""), piece("\N{ROBOT FACE}'", "", "\N{ROBOT FACE}", "'"), *events("\n")],
    )

    assert engine.complete(request("a = '")).text == "\N{ROBOT FACE}'"


def test_a_text_that_is_aborted_loses_what_may_go_on(server: ScriptedServer, engine: RemoteEngine) -> None:
    server.says(" first", " + seco", end="abort")

    completion = engine.complete(request("a ="))

    assert (completion.text, completion.finish_reason) == (" first +", FinishReason.LENGTH)


def test_several_names_of_one_model_are_no_choice(server: ScriptedServer) -> None:
    names = [{**CARD, "id": name, "root": "/models/coder"} for name in ("coder", "coder-latest")]
    server.answers["/v1/models"] = (200, {"data": names})

    engine = loaded(server)

    assert engine.model_name == "coder"
    engine.close()


def test_a_server_that_takes_published_fields_alone_tells_chances(server: ScriptedServer) -> None:
    class Strict(dict[str, tuple[int, Any]]):
        """transformers' refusal of fields that it does not know."""

        def get(self, path: str, default: Any = None) -> Any:  # noqa: ANN401
            unknown = {"timings_per_token", "repetition_penalty", "repeat_penalty"}
            if path == "/v1/completions" and unknown & {*server.asked[-1][1]}:
                return (422, {"detail": "Unexpected fields in the request: {'timings_per_token'}"})
            return super().get(path, default)

    server.answers = Strict(server.answers)
    engine = loaded(server)
    server.says("foo", chances=(0.01,))

    assert engine.complete(request("a = ")).finish_reason is FinishReason.DOUBT
    assert server.asked[-1][1].keys() == {"model", "prompt", "max_tokens", "temperature", "stream", "logprobs"}
    engine.close()


def test_penalties_of_a_models_chats_are_none_of_codes(server: ScriptedServer, engine: RemoteEngine) -> None:
    engine.complete(request("a = "))

    _, body = server.asked[-1]
    assert (body["repetition_penalty"], body["repeat_penalty"]) == (1.0, 1.0)
