"""What a completion server says where it does not complete, as one sentence of ours. It asks nothing."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any

from engine.errors import EngineError, RemoteAwayError, RemoteError, RemoteRefusedError
from engine.sentences import Sentence

_MOST_CHARS = 200  # of a server's own words
_KEPT_BACK = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_MAY_PASS = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_UNFIT = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})
_NOT_THERE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})


def parsed(body: bytes | str) -> Any | None:  # noqa: ANN401 - any JSON
    """What a server sent; None where it is no JSON, or deeper or larger than anything that one has to say."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def words_of(body: bytes | str, token: str = "") -> str:
    """A server's own words about what went wrong, as one line with a full stop; "" where it has none.

    Args:
        body: What it sent.
        token: What it knows the user by: words may repeat it, and go to logs and reports.
    """
    said = parsed(body)
    for key in ("error", "message", "detail"):
        while isinstance(said, dict) and key in said:
            said = said[key]
    if not isinstance(said, str):
        return ""
    if token:
        said = said.replace(token, "***")
    line = re.sub(r"\s+", " ", said).strip().rstrip(".")
    return f"{line[:_MOST_CHARS]}..." if len(line) > _MOST_CHARS else f"{line}." if line else ""


def refusal(host: str, status: int, body: bytes, token: str) -> EngineError:
    """Why a server answered otherwise than with a text."""
    words = words_of(body, token)
    if status in _KEPT_BACK:
        what = Sentence("refused the token") if token else Sentence("wants a token")
        return RemoteError(
            Sentence(
                "The completion server {host} {what}; use the command Green Code: Set Remote Token, or the "
                "environment variable GREEN_CODE_REMOTE_TOKEN.",
                host=host,
                what=what,
            )
        )
    if status in _MAY_PASS:
        return RemoteAwayError(
            Sentence(
                "The completion server {host} cannot answer now: {words}", host=host, words=words or _phrase(status)
            )
        )
    if status in _NOT_THERE and "model" in words.lower():
        return RemoteError(Sentence("The completion server {host} has no such model: {words}", host=host, words=words))
    if status in _NOT_THERE:
        return not_a_server(host)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return RemoteError(
            Sentence(
                "{host} sends Green Code to another address; if that is right, set greenCode.remote.url to it.",
                host=host,
            )
        )
    kind = RemoteRefusedError if status in _UNFIT else RemoteError
    return kind(
        Sentence("The completion server {host} refused to complete: {words}", host=host, words=words or _phrase(status))
    )


def not_a_server(host: str) -> RemoteError:
    """What answers is something else."""
    return RemoteError(
        Sentence(
            "What answers at {host} is no completion server: it has neither /v1/completions nor /infill.", host=host
        )
    )


def said_in_stream(host: str, event: Any, token: str) -> EngineError:  # noqa: ANN401 - any JSON
    """Why a server breaks off a text that it has begun."""
    return RemoteError(
        Sentence(
            "The completion server {host} broke off: {words}",
            host=host,
            words=words_of(json.dumps(event), token) or Sentence("it gave no reason."),
        )
    )


def said_nothing(host: str) -> EngineError:
    """A stream without one event, as llama-cpp-python's of a prompt that is too long."""
    return RemoteRefusedError(
        Sentence(
            "The completion server {host} refused to complete: {words}",
            host=host,
            words=Sentence("it gave no reason."),
        )
    )


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}."
    except ValueError:
        return f"status {status}."
