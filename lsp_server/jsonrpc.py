"""`GreenCodeProtocol`: JSON-RPC in which every request is answered, and no answer carries a stack trace.

pygls 2.1 sends no response at all to a request whose parameters it cannot structure, or that has none although it
is not LSP's own; the client then waits for ever. It knows no handler.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from lsprotocol.types import INITIALIZE, ResponseError
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInternalError,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
    JsonRpcServerNotInitialized,
)
from pygls.protocol import LanguageServerProtocol, default_converter

from lsp_server import protocol
from lsp_server.wire import wire_name

if TYPE_CHECKING:
    from pygls.workspace import Workspace

logger = logging.getLogger(__name__)

INTERNAL_ERROR = "Green Code could not answer this request; its log has the details."
_SHOWN_FAULTS = 3


@attrs.define
class HistoryRequest:
    """`greenCode/history` as it travels."""

    id: int | str
    method: str
    jsonrpc: str
    params: protocol.HistoryParams


@attrs.define
class SnoozeRequest:
    """`greenCode/snooze` as it travels."""

    id: int | str
    method: str
    jsonrpc: str
    params: protocol.SnoozeParams


_MESSAGE_TYPES: dict[str, type] = {protocol.HISTORY: HistoryRequest, protocol.SNOOZE: SnoozeRequest}
_RECORDS = (
    protocol.Status,
    protocol.SessionEnergy,
    protocol.SnoozeParams,
    protocol.HistoryParams,
    protocol.DayEnergy,
    protocol.HistoryResult,
)


def make_converter() -> cattrs.Converter:
    """The converter of LSP's types and ours; our fields are camelCase on the wire."""
    converter: cattrs.Converter = default_converter()  # type: ignore[no-untyped-call] # pygls has no annotation there
    for record in _RECORDS:
        names: dict[str, Any] = {f.name: override(rename=wire_name(f.name)) for f in attrs.fields(record)}
        converter.register_structure_hook(record, make_dict_structure_fn(record, converter, **names))
        converter.register_unstructure_hook(record, make_dict_unstructure_fn(record, converter, **names))
    return converter


class GreenCodeProtocol(LanguageServerProtocol):
    """pygls' protocol, with an answer to everything that asks for one."""

    def get_message_type(self, method: str) -> type[Any] | None:  # type: ignore[override] # theirs is cached
        """The type of a message, ours or LSP's."""
        return _MESSAGE_TYPES.get(method) or super().get_message_type(method)

    @property
    def is_initialized(self) -> bool:
        """True from the client's `initialize` on."""
        return self._workspace is not None

    def use_workspace(self, workspace: Workspace) -> None:
        """Keeps the open documents in `workspace`; called while `initialize` is answered."""
        self._workspace = workspace

    def structure_message(self, data: dict[str, Any]) -> Any:  # noqa: ANN401 - the type of the supertype
        """Deserialises one message; answers it here, and returns None, when it cannot be understood."""
        if "jsonrpc" not in data:
            return data
        if "method" in data:
            data.setdefault("params", None)  # JSON-RPC lets it be left out, pygls does not
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            self._refuse(data, error)
            return None

    def handle_message(self, message: Any) -> None:  # noqa: ANN401 - the type of the supertype
        """Passes a message on unless the server's state forbids it."""
        if message is None:
            return
        if not hasattr(message, "jsonrpc"):
            logger.warning("A message that is not JSON-RPC 2.0 was ignored")
            if isinstance(message, dict) and "id" in message:
                self._deny(message["id"], JsonRpcInvalidRequest())
            return
        is_request = hasattr(message, "method") and hasattr(message, "id")
        if is_request and self._shutdown:
            self._deny(message.id, JsonRpcInvalidRequest("The server is shutting down."))
        elif is_request and not self.is_initialized and message.method != INITIALIZE:
            self._deny(message.id, JsonRpcServerNotInitialized("The server is not initialized."))
        else:
            super().handle_message(message)

    def _send_response(self, msg_id: int | str, result: object = None, error: ResponseError | None = None) -> None:
        if error is not None and error.code == JsonRpcInternalError.CODE:
            error = ResponseError(code=error.code, message=INTERNAL_ERROR)  # pygls logged the trace
        super()._send_response(msg_id, result=result, error=error)

    def _deny(self, msg_id: int | str, error: JsonRpcException) -> None:
        self._send_response(msg_id, error=error.to_response_error())

    def _refuse(self, data: dict[str, Any], error: JsonRpcException) -> None:
        sentence = _sentence(data, error)
        logger.warning("%s", sentence)
        refusal = JsonRpcInvalidParams(sentence)
        if "method" not in data:  # an answer to a request of ours
            future = self._request_futures.pop(data.get("id", ""), None)
            if future is not None and not future.done():
                future.set_exception(refusal)
        elif "id" in data:
            self._deny(data["id"], refusal)


def _sentence(data: dict[str, Any], error: JsonRpcException) -> str:
    what = data.get("method") or "an answer"
    cause = error.__cause__
    if not isinstance(cause, cattrs.ClassValidationError):
        return f"The message {what} cannot be understood."
    faults = "; ".join(cattrs.transform_error(cause)[:_SHOWN_FAULTS])
    return f"The message {what} cannot be understood: {faults}."
