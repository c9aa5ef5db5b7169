"""`discover`: which model a server has, which interface it takes, and how much its model reads. It keeps nothing."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.completion.fim import FORMATS
from engine.completion.prompt import Prompt
from engine.errors import RemoteError
from engine.remote.interfaces import Completions, Infill
from engine.remote.refusals import not_a_server, parsed
from engine.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.completion.fim import FimFormat
    from engine.remote.address import Address
    from engine.remote.connection import Connection
    from engine.remote.interfaces import Fields, Interface

_OK, _BAD, _UNFIT = 200, 400, 422
_TRIAL = Prompt(text="\n", typed="", suffix="\n")
_MOST_NAMED = 8
_FIELDS: tuple[Fields, ...] = ("all", "published", "least")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What a server has.

    Attributes:
        model: As it calls it.
        interface: How it is asked.
        max_positions: Tokens of prompt and answer together; None where it does not say.
    """

    model: str
    interface: Interface
    max_positions: int | None


def discover(connection: Connection, address: Address, model: str) -> Offered:
    """Asks a server what it has, and for one token.

    Args:
        connection: To the server.
        address: What the user wrote.
        model: Which model the user wants; "" for the only one.

    Raises:
        EngineError: It cannot complete, for the reason told.
    """
    models = _models(connection)
    card = _chosen(connection.host, models, model)
    name = str(card.get("id") or model)
    is_llama_cpp = card.get("owned_by") == "llamacpp" or (not models and address.way == "infill")
    if address.way == "infill" or (address.way is None and is_llama_cpp):
        infill = Infill(model=name)
        status, body = connection.ask(infill.path, infill.body(_TRIAL, 1))
        if status == _OK:
            return Offered(model=name, interface=infill, max_positions=_max_positions(connection, card))
        if address.way == "infill":
            raise connection.refusal(status, body)
    return Offered(model=name, interface=_completions(connection, name), max_positions=_max_positions(connection, card))


def _models(connection: Connection) -> list[dict[str, Any]]:
    status, body = connection.ask("/v1/models")
    if status in {404, 405}:  # some servers have one model and no list
        return []
    if status != _OK:
        raise connection.refusal(status, body)
    match parsed(body):
        case {"data": [*models]}:
            return [card for card in models if isinstance(card, dict)]
        case _:
            raise not_a_server(connection.host)


def _chosen(host: str, models: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    named = [str(card.get("id")) for card in models]
    listed = ", ".join(named[:_MOST_NAMED]) + (", ..." if len(named) > _MOST_NAMED else "")
    if not wanted and len({card.get("root") or card.get("id") for card in models}) > 1:  # vLLM's has several names
        raise RemoteError(
            Sentence(
                "The completion server {host} has several models; set greenCode.remote.model to one: {listed}.",
                host=host,
                listed=listed,
            )
        )
    if not models or not wanted:
        return models[0] if models else {}
    for card in models:
        if wanted == card.get("id") or wanted in (card.get("aliases") or ()):
            return card
    raise RemoteError(
        Sentence(
            "The completion server {host} has no model {wanted}; set greenCode.remote.model to one: {listed}.",
            host=host,
            wanted=wanted,
            listed=listed,
        )
    )


def _completions(connection: Connection, model: str) -> Completions:
    fim_format = _fim_format(connection, model)
    has_suffix = fim_format is None and _fills_in_itself(connection)
    status, body = _OK, b""
    for suffix in (True, False) if has_suffix else (False,):
        for fields in _FIELDS:
            found = Completions(model=model, fim_format=fim_format, has_suffix=suffix, fields=fields)
            status, body = connection.ask(found.path, found.body(_TRIAL, 1))
            if status == _OK:
                return found
            if status not in {_BAD, _UNFIT}:
                raise connection.refusal(status, body)
    raise connection.refusal(status, body)


def _fills_in_itself(connection: Connection) -> bool:
    """Whether it is Ollama, which puts both sides of the cursor into its models' templates; others pass over one."""
    status, body = connection.ask("/api/version")
    return status == _OK and isinstance(parsed(body), dict)


def _fim_format(connection: Connection, model: str) -> FimFormat | None:
    """The format whose control tokens are single tokens of the model, where the server can be asked about them."""

    @functools.cache
    def is_control_token(token: str) -> bool:
        return _n_tokens(connection, model, token) == 1

    if _n_tokens(connection, model, "a = b") in {None, 1}:
        return None
    return next(_fitting(is_control_token), None)


def _fitting(is_control_token: Callable[[str], bool]) -> Iterator[FimFormat]:
    for each in FORMATS:
        if all(map(is_control_token, sorted(each.control_tokens))) and not any(map(is_control_token, each.lacks)):
            yield each


def _n_tokens(connection: Connection, model: str, text: str) -> int | None:
    """How many tokens a text is, asked as llama.cpp, vLLM and TGI want it; None where nobody answers that."""
    llama_cpp = {"content": text, "add_special": False, "parse_special": True}
    question = {**llama_cpp, "model": model, "prompt": text, "add_special_tokens": False, "inputs": text}
    status, body = connection.ask("/tokenize", question)
    match parsed(body) if status == _OK else None:
        case {"tokens": [*tokens]} | [*tokens]:
            return len(tokens)
        case _:
            return None


def _max_positions(connection: Connection, card: dict[str, Any]) -> int | None:
    if isinstance(said := card.get("max_model_len"), int):
        return said
    if card.get("owned_by") == "llamacpp":
        _, body = connection.ask("/props")
        match parsed(body):
            case {"default_generation_settings": {"n_ctx": int(n_ctx)}}:
                return n_ctx
            case _:
                pass
    return None
