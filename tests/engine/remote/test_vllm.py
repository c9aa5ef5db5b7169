"""A real vLLM server: `GREEN_CODE_VLLM=VENV/bin/python pytest -m vllm tests/engine/remote/test_vllm.py`.

What it once said otherwise than expected is replayed without it by `test_real_habits.py`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil
import pytest

from engine.config import EngineConfig
from engine.errors import RemoteAwayError, RemoteError
from engine.remote.remote_engine import load_remote_engine
from engine.types import CompletionRequest, FinishReason, Provenance
from tests.engine.remote.vllm_server import N_POSITIONS, TOKEN, count, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.evaluation.vllm_server import VllmServer
    from engine.remote.remote_engine import RemoteEngine
    from engine.types import Completion

pytestmark = [pytest.mark.vllm, pytest.mark.model, pytest.mark.timeout(900)]
FACTORIAL = 'def factorial(n):\n    """Returns n!."""\n    if n == 0:\n        return 1\n    return '
DIGITS = "x = [" + ", ".join(str(1_000_003 * n % 999_983) for n in range(2000)) + ", "


@pytest.fixture(scope="module")
def server(default_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    with serving(default_model_path, tmp_path_factory.mktemp("vllm")) as running:
        yield running


@pytest.fixture
def engine(server: VllmServer) -> Iterator[RemoteEngine]:
    engine = connected(server)
    yield engine
    engine.close()


def connected(server: VllmServer, token: str = TOKEN, model: str = "") -> RemoteEngine:
    return load_remote_engine(EngineConfig(remote_url=server.url, remote_model=model), token=token)


def complete(engine: RemoteEngine, prefix: str, suffix: str = "") -> Completion:
    return engine.complete(request(prefix, suffix))


def request(prefix: str, suffix: str = "", max_new_tokens: int = 48) -> CompletionRequest:
    return CompletionRequest(
        prefix=prefix,
        suffix=suffix,
        language_id="python",
        green_mode=0,
        may_give_up=False,
        max_new_tokens=max_new_tokens,
    )


def test_it_says_what_the_model_says_here_and_stops_with_the_line(server: VllmServer, engine: RemoteEngine) -> None:
    before = count(server.url, "generation_tokens_total")

    completion = complete(engine, FACTORIAL)
    again = complete(engine, f"{FACTORIAL}n")

    assert (completion.text, again.text) == ("n * factorial(n - 1)", " * factorial(n - 1)")
    assert (completion.prompt_tokens, completion.energy.provenance) == (25, Provenance.NONE)
    assert engine.energy_source.endswith("reports no energy")
    until_quiet(server)
    unused = count(server.url, "generation_tokens_total") - before - len(completion.tokens) - len(again.tokens)
    assert 0 <= unused <= 4  # on their way when it was left


def test_it_is_given_both_sides_of_the_cursor(engine: RemoteEngine) -> None:
    one_sided, two_sided = complete(engine, FACTORIAL), complete(engine, FACTORIAL, "\n\nprint(factorial(3))\n")

    assert one_sided.prompt_tokens is not None
    assert two_sided.prompt_tokens == one_sided.prompt_tokens + 3 + 10  # control tokens are one each


def test_a_penalty_of_its_chats_is_none_of_codes(engine: RemoteEngine) -> None:
    ones = complete(engine, "x = [1, 1, 1, 1, 1, 1, 1, 1, 1, ")

    assert {token.text for token in ones.tokens} == {" ", "1", ","}


def test_letters_of_several_tokens_come_whole(engine: RemoteEngine) -> None:
    smile = complete(engine, "faces = ['\N{GRINNING FACE}', '\N{FACE WITH TEARS OF JOY}', '")

    assert smile.text
    assert "\N{REPLACEMENT CHARACTER}" not in smile.text


def test_more_than_its_model_reads_is_asked_for_less(engine: RemoteEngine) -> None:
    completion = complete(engine, DIGITS)

    assert completion.prompt_tokens is not None
    assert N_POSITIONS / 4 < completion.prompt_tokens < N_POSITIONS


def test_where_nothing_stands_nothing_is_asked(engine: RemoteEngine) -> None:
    assert complete(engine, "").text == complete(engine, "\n").text == ""


def test_who_may_not_ask_and_who_asks_for_another_model_is_told(server: VllmServer) -> None:
    with pytest.raises(RemoteError, match="refused the token"):
        connected(server, "other")
    with pytest.raises(RemoteError, match="wants a token"):
        connected(server, "")
    with pytest.raises(RemoteError, match=r"has no model gpt; set greenCode\.remote\.model to one: coder, "):
        connected(server, model="gpt")
    engine = connected(server, model="coder-latest")
    assert engine.model_name == "coder-latest"
    engine.close()


def test_it_stops_for_who_leaves(server: VllmServer, engine: RemoteEngine) -> None:
    class AfterText:
        is_cancelled = False

        def __call__(self, text: str) -> None:
            self.is_cancelled = True

    leaves = AfterText()

    completion = engine.complete(request("words = ['one', '", max_new_tokens=400), cancellation=leaves, on_text=leaves)

    assert (completion.text, completion.finish_reason) == ("", FinishReason.CANCELLED)
    until_quiet(server)


def test_a_server_that_is_killed_while_it_answers_is_told(server: VllmServer, engine: RemoteEngine) -> None:
    """The last test: nobody is there afterwards."""
    seen: list[str] = []

    def kill(text: str) -> None:
        if not seen:
            for process in psutil.Process(server.process.pid).children(recursive=True):
                process.kill()
        seen.append(text)

    with pytest.raises(RemoteError, match=r"broke off|did not answer in time"):
        engine.complete(request("words = ['one', '", max_new_tokens=400), on_text=kill)
    server.process.wait(60)
    with pytest.raises(RemoteAwayError, match="cannot be reached"):
        complete(engine, FACTORIAL)


def until_quiet(server: VllmServer) -> None:
    """Until it computes for nobody."""
    latest_s = time.monotonic() + 20
    while count(server.url, "num_requests_running"):
        assert time.monotonic() < latest_s
        time.sleep(0.05)
