"""`GreenCodeProtocol`: JSON-RPC in which every request is answered, and no answer carries a stack trace.

pygls 2.1 sends no response at all to a request whose parameters it cannot structure, or that has none although it
is not LSP's own; the client then waits for ever. It knows no handler.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, override
from lsprotocol.types import INITIALIZE, SHUTDOWN, is_special_property
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
    JsonRpcServerNotInitialized,
)
from pygls.protocol import default_converter

from lsp_server import protocol
from lsp_server.protocol import REQUESTS, wire_name
from lsp_server.pygls_internals import OpenProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

P = TypeVar("P")
_SHOWN_FAULTS = 3
# What is read of a client's capabilities, by us and by pygls. To understand all that an editor tells takes a record for
# each of its abilities, and 0.1 s.
_CAPABILITIES = {
    "general": {"positionEncodings"},
    "notebookDocument": {"synchronization"},
    "textDocument": {"inlineCompletion", "synchronization"},
    "window": {"workDoneProgress"},
    "workspace": {
        *("configuration", "didChangeConfiguration", "didChangeWatchedFiles", "fileOperations", "workspaceFolders"),
    },
}


@dataclass(slots=True, kw_only=True)
class Request(Generic[P]):
    """A request of ours as it travels."""

    id: int | str
    method: str
    jsonrpc: str
    params: P


def make_converter() -> cattrs.Converter:
    """The converter of LSP's types and of every record of `lsp_server.protocol`, whose fields are camelCase in JSON."""
    converter: cattrs.Converter = default_converter()  # type: ignore[no-untyped-call] # pygls has no annotation there
    converter.register_structure_hook_factory(_is_ours, partial(_hook, converter))
    converter.register_unstructure_hook_factory(_is_ours, partial(_our_unstructured, converter))
    converter.register_unstructure_hook_factory(attrs.has, partial(_unstructured, converter))
    return converter


class GreenCodeProtocol(OpenProtocol):
    """pygls' protocol, with an answer to everything that asks for one.

    Attributes:
        is_told_to_end: True from the client's `shutdown` on, be it not answered yet.
    """

    is_told_to_end = False

    def get_message_type(self, method: str) -> type[Any] | None:  # type: ignore[override] # theirs is cached
        """The type of a message, ours or LSP's."""
        params = REQUESTS.get(method)
        return Request[params] if params is not None else super().get_message_type(method)  # type: ignore[valid-type]

    def receive(self, body: bytes) -> None:
        """Handles one message of the client; what is no JSON is logged."""
        try:
            data = json.loads(body)
        except (ValueError, RecursionError) as error:
            logger.warning("A message that is not JSON was ignored: %s", error)
            return
        self.handle_message(self.structure_message(data) if isinstance(data, dict) else data)

    def structure_message(self, data: dict[str, Any]) -> Any:  # noqa: ANN401 - the type of the supertype
        """Deserialises one message; answers it here, and returns None, when it cannot be understood."""
        if data.get("jsonrpc") != self.VERSION:
            return data
        if not (_is_id(data.get("id", 0)) and isinstance(data.get("method", ""), str)):
            logger.warning("A message with no proper id or method was ignored")
            if "method" in data and "id" in data:
                self.refuse(data["id"] if _is_id(data["id"]) else None, JsonRpcInvalidRequest())
            return None
        if "method" in data:
            data.setdefault("params", None)  # JSON-RPC lets it be left out, pygls does not
        if data.get("method") == INITIALIZE:
            _leave_out_unread(data["params"])
        try:
            message = super().structure_message(data)
        except JsonRpcException as error:
            self._answer_misunderstood(data, error)
            return None
        if "id" in data and not hasattr(message, "id"):
            self.refuse(data["id"], JsonRpcInvalidRequest(f"The message {data['method']} is no request."))
            return None
        return message

    def handle_message(self, message: Any) -> None:  # noqa: ANN401 - the type of the supertype
        """Passes a message on unless the server's state forbids it."""
        if message is None:
            return
        if not hasattr(message, "jsonrpc"):
            logger.warning("A message that is not JSON-RPC 2.0 was ignored")
            if isinstance(message, dict) and "id" in message:
                self.refuse(message["id"] if _is_id(message["id"]) else None, JsonRpcInvalidRequest())
            return
        is_request = hasattr(message, "method") and hasattr(message, "id")
        if is_request and self.is_shut_down:
            self.refuse(message.id, JsonRpcInvalidRequest("The server is shutting down."))
        elif is_request and not self.is_initialized and message.method != INITIALIZE:
            self.refuse(message.id, JsonRpcServerNotInitialized("The server is not initialized."))
        elif is_request and self.is_initialized and message.method == INITIALIZE:
            self.refuse(message.id, JsonRpcInvalidRequest("The server is initialized already."))
        else:
            self.is_told_to_end |= is_request and message.method == SHUTDOWN
            super().handle_message(message)

    def _answer_misunderstood(self, data: dict[str, Any], error: JsonRpcException) -> None:
        sentence = _sentence(data, error)
        logger.warning("%s", sentence)
        refusal = JsonRpcInvalidParams(sentence)
        if "method" not in data:  # an answer to a request of ours
            self.fail(data.get("id", ""), refusal)
        elif "id" in data:
            self.refuse(data["id"], refusal)


def _is_id(value: object) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _is_ours(record: Any) -> bool:  # noqa: ANN401 - cattrs asks about any type
    return is_dataclass(record) and record.__module__ == protocol.__name__


def _leave_out_unread(params: Any) -> None:  # noqa: ANN401 - any JSON
    """Takes away what nobody reads of a client's capabilities."""
    capabilities = params.get("capabilities") if isinstance(params, dict) else None
    if isinstance(capabilities, dict):
        for name in list(capabilities):
            read, told = _CAPABILITIES.get(name), capabilities[name]
            if read is None:
                del capabilities[name]
            elif isinstance(told, dict):
                capabilities[name] = {key: value for key, value in told.items() if key in read}


def _hook(converter: cattrs.Converter, record: type[Any]) -> Any:  # noqa: ANN401 - a function of cattrs
    names: dict[str, Any] = {field.name: override(rename=wire_name(field.name)) for field in fields(record)}
    return make_dict_structure_fn(record, converter, **names)


def _our_unstructured(converter: cattrs.Converter, record: type[Any]) -> Callable[[Any], dict[str, Any]]:
    """How a record of ours becomes JSON; see `_unstructured`."""
    names = [(field.name, wire_name(field.name)) for field in fields(record)]
    return lambda told: {name: converter.unstructure(getattr(told, attribute)) for attribute, name in names}


def _unstructured(converter: cattrs.Converter, record: type[Any]) -> Callable[[Any], dict[str, Any]]:
    """How a record of LSP becomes JSON, as lsprotocol has it: what is at its default is left out, but for some.

    lsprotocol has cattrs compile a function for each of the thirty kinds that a server sends, most of them once, in its
    answer to `initialize`.
    """
    names = [
        (field.name, wire_name(field.name.removesuffix("_")), _left_out_at(record, field))
        for field in attrs.fields(record)
        if field.init
    ]

    def unstructure(told: Any) -> dict[str, Any]:  # noqa: ANN401 - the record
        values = ((name, getattr(told, attribute), default) for attribute, name, default in names)
        return {name: converter.unstructure(value) for name, value, default in values if value != default}

    return unstructure


def _left_out_at(record: type[Any], field: attrs.Attribute[Any]) -> Any:  # noqa: ANN401 - any value
    """The default at which a field is left out; `attrs.NOTHING` where it never is."""
    return attrs.NOTHING if is_special_property(record, field.name) else field.default


def _sentence(data: dict[str, Any], error: JsonRpcException) -> str:
    what = data.get("method") or "an answer"
    cause = error.__cause__
    if not isinstance(cause, cattrs.ClassValidationError):
        return f"The message {what} cannot be understood."
    faults = "; ".join(cattrs.transform_error(cause)[:_SHOWN_FAULTS])
    return f"The message {what} cannot be understood: {faults}."
