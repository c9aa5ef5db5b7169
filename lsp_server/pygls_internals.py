"""What this server needs of pygls beyond its public interface. No other module names anything private of pygls.

Read in pygls 2.0 and 2.1; pyproject bounds the version for the sake of these names. What upstream mends goes:

- it answers no request whose parameters it cannot structure, and forgets no future of a notification
  (`_request_futures`, `_execute_handler`), and its errors carry stack traces (`_send_response`);
- it looks up whatever a cancel names (`_handle_cancel_notification`), takes an answer to anything under way for one to
  a request of ours (`_handle_response`), and leaves out an id that is null (`_send_data`);
- it makes JSON of a notification by asking back for each record in it, for half as long again (`_converter`);
- it ends `initialize`, and every request about a document, in an error where it cannot read a name (`lsp_initialize`,
  `_create_text_document`);
- it builds its `Workspace` itself, and that its `TextDocument`s (`_workspace`, `_create_text_document`, `_source`);
- its reader knows one spelling of the header: `lsp_server.framing` reads in its place.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from lsprotocol.types import INITIALIZE, InitializeParams, InitializeResult, ResponseError
from pygls import uris
from pygls.exceptions import JsonRpcException, JsonRpcInternalError
from pygls.protocol import LanguageServerProtocol, lsp_method
from pygls.workspace import TextDocument, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

INTERNAL_ERROR = "Green Code could not answer this request; its log has the details."


class OpenProtocol(LanguageServerProtocol):
    """pygls' protocol with its state to be read, its requests to be refused, and nothing kept that has ended."""

    @property
    def is_initialized(self) -> bool:
        """True from the client's `initialize` on."""
        return self._workspace is not None

    @property
    def is_shut_down(self) -> bool:
        """True from the client's `shutdown` on."""
        return self._shutdown

    @lsp_method(INITIALIZE)
    def lsp_initialize(self, params: InitializeParams) -> Generator[Any, Any, InitializeResult]:
        """Answers also where the root is no name of a folder: then there is none."""
        try:
            if params.root_path is not None and params.root_uri is None:
                params.root_uri = uris.from_fs_path(params.root_path)
            uris.to_fs_path(params.root_uri or "")
        except ValueError:
            params.root_uri = params.root_path = None
        return (yield from super().lsp_initialize(params))

    def use_workspace(self, workspace: Workspace) -> None:
        """Keeps the open documents in `workspace`; called while `initialize` is answered."""
        self._workspace = workspace

    def tell(self, method: str, record: object) -> None:
        """Notifies the client of a record, as `notify` does."""
        self._send_data({"jsonrpc": self.VERSION, "method": method, "params": self._converter.unstructure(record)})

    def refuse(self, msg_id: int | str | None, error: JsonRpcException) -> None:
        """Answers a request of the client with an error; None where it has no id that can be answered."""
        refusal = error.to_response_error()
        if msg_id is None:  # pygls would leave it out
            told = {"code": refusal.code, "message": refusal.message}
            self._send_data({"jsonrpc": self.VERSION, "id": None, "error": told})
        else:
            self._send_response(msg_id, error=refusal)

    def fail(self, msg_id: int | str, error: JsonRpcException) -> None:
        """Ends a request of ours, which waits for an answer that cannot be understood."""
        if self._waits_for(msg_id) and not (future := self._request_futures.pop(msg_id)).done():
            future.set_exception(error)

    def _waits_for(self, msg_id: int | str) -> bool:
        """True for a request of ours; pygls keeps what it does for those of the client under their ids beside them."""
        return isinstance(self._request_futures.get(msg_id), Future)

    def _handle_response(self, msg_id: int | str, result: object = None, error: ResponseError | None = None) -> None:
        if self._waits_for(msg_id):
            super()._handle_response(msg_id, result, error)

    def _send_response(self, msg_id: int | str, result: object = None, error: ResponseError | None = None) -> None:
        if error is not None and error.code == JsonRpcInternalError.CODE:
            error = ResponseError(code=error.code, message=INTERNAL_ERROR)  # pygls logged the trace
        super()._send_response(msg_id, result=result, error=error)

    def _handle_cancel_notification(self, msg_id: object) -> None:
        if isinstance(msg_id, int | str):  # pygls takes whatever stands there
            super()._handle_cancel_notification(msg_id)

    def _execute_handler(
        self,
        msg_id: int | str,
        handler: Callable[..., Any],
        callback: Callable[[Future[Any]], None],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        def end(future: Future[Any]) -> None:
            if self._request_futures.get(msg_id) is future:  # pygls forgets those of requests alone
                del self._request_futures[msg_id]
            callback(future)

        super()._execute_handler(msg_id, handler, end, args, kwargs)


class EditedDocument(TextDocument):
    """A document whose text can be let go, once somebody else has it."""

    def let_go(self) -> None:
        """Forgets the text."""
        self._source = ""


class DocumentStore(Workspace):
    """A workspace whose documents are of the class `document_class`."""

    document_class = EditedDocument

    def _create_text_document(
        self,
        doc_uri: str,
        source: str | None = None,
        version: int | None = None,
        language_id: str | None = None,
    ) -> TextDocument:
        if not isinstance(language_id, str):  # lsprotocol lets anything be one
            language_id = None

        def document(uri: str) -> TextDocument:
            return self.document_class(
                uri, source=source, version=version, language_id=language_id, position_codec=self.position_codec
            )

        try:
            return document(doc_uri)
        except ValueError:  # no name of a file; of an open document a client may say so all the same
            nameless = document("")
            nameless.uri = doc_uri
            return nameless
