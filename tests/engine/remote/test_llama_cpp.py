"""A real llama.cpp server on this machine: both of its interfaces, its token, and who leaves it."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

from engine.config import EngineConfig
from engine.errors import RemoteError
from engine.model.sources.embedded import SMOLLM2, fetch_gguf
from engine.remote.remote_engine import load_remote_engine
from engine.types import CompletionRequest, FinishReason, PromptOptions, Snippet
from tests.engine.model.sources.tiny_gguf import write_tiny_gguf
from tests.engine.remote.llama_cpp_server import llama_cpp_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.remote.remote_engine import RemoteEngine

pytestmark = pytest.mark.timeout(120)
PREFIX, SUFFIX = "abc = f(\n", "xyz\n"


@pytest.fixture(scope="module")
def infilling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    model = tmp_path_factory.mktemp("infilling") / "infilling.gguf"
    write_tiny_gguf(model, infilling=True)
    with llama_cpp_server(model) as url:
        yield url


@pytest.fixture(scope="module")
def continuing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    model = tmp_path_factory.mktemp("continuing") / "continuing.gguf"
    write_tiny_gguf(model)
    with llama_cpp_server(model, api_key="s3cret") as url:
        yield url


def connected(url: str, token: str = "") -> RemoteEngine:
    return load_remote_engine(EngineConfig(remote_url=url), token=token)


def request(**more: object) -> CompletionRequest:
    settings = {"prefix": PREFIX, "suffix": SUFFIX, "may_give_up": False, "max_new_tokens": 8, **more}
    return CompletionRequest(**settings)  # type: ignore[arg-type]


def test_a_model_that_fills_in_is_given_both_sides_and_other_files(infilling: str) -> None:
    engine = connected(infilling)
    piece = Snippet(path="b.py", text="qqqqqqqq")

    alone = engine.complete(request())
    along = engine.complete(request(snippets=(piece,), prompt=PromptOptions(snippet_chars=100)))

    assert engine._server.interface.path == "/infill"
    # A token is a byte here; the line end before the cursor is said again, and not in the prompt.
    assert alone.prompt_tokens == 3 + len(PREFIX.rstrip("\n")) + len(SUFFIX)
    assert along.prompt_tokens is not None
    assert along.prompt_tokens >= alone.prompt_tokens + len(piece.text)
    assert len(alone.tokens) > 0
    engine.close()


def test_a_model_that_goes_on_is_given_one_side_and_only_to_who_may(continuing: str) -> None:
    engine = connected(continuing, "s3cret")

    completion = engine.complete(request())

    assert engine._server.interface.path == "/v1/completions"
    assert completion.prompt_tokens == len(PREFIX.rstrip("\n"))
    assert engine.model_name.endswith("continuing.gguf")
    engine.close()
    with pytest.raises(RemoteError, match="refused the token"):
        connected(continuing, "other")
    with pytest.raises(RemoteError, match="wants a token"):
        connected(continuing)


def test_infilling_that_the_model_cannot_do_is_told(continuing: str) -> None:
    with pytest.raises(RemoteError, match=r"refused to complete: Infill is not supported by this model: "):
        connected(f"{continuing}/infill", "s3cret")


def test_a_server_stops_for_who_leaves(infilling: str) -> None:
    engine = connected(infilling)

    class Soon:
        """Is cancelled a moment after it is first asked."""

        first_s: float | None = None

        @property
        def is_cancelled(self) -> bool:
            self.first_s = self.first_s or time.monotonic()
            return time.monotonic() > self.first_s + 0.05

    completion = engine.complete(request(max_new_tokens=400, single_line=False, green_mode=0), cancellation=Soon())

    if completion.finish_reason is FinishReason.CANCELLED:  # else this machine was done before
        assert completion.text == ""
    until_s = time.monotonic() + 10
    while is_processing(infilling) and time.monotonic() < until_s:
        time.sleep(0.02)
    assert not is_processing(infilling)
    assert engine.complete(request()).tokens
    engine.close()


@pytest.mark.model
def test_the_weights_of_the_default_model_say_as_much_there(tmp_path: Path) -> None:
    model, _ = fetch_gguf(SMOLLM2, tmp_path)
    factorial = 'def factorial(n):\n    """Returns n!."""\n    if n == 0:\n        return 1\n    return '
    with llama_cpp_server(model, n_ctx=1024) as url:
        engine = connected(url)

        completion = engine.complete(CompletionRequest(prefix=factorial, language_id="python", green_mode=0))
        again = engine.complete(CompletionRequest(prefix=factorial + "n", language_id="python", green_mode=0))
        engine.close()

    assert completion.text == "n * factorial(n - 1)"
    assert len(completion.tokens) < 20  # it was left as soon as the line was whole
    assert again.text == " * factorial(n - 1)"
    assert (again.reused_tokens or 0) > 20


def is_processing(url: str) -> bool:
    with urllib.request.urlopen(f"{url}/slots") as answer:  # noqa: S310 - a server of ours
        return any(slot["is_processing"] for slot in json.load(answer))
