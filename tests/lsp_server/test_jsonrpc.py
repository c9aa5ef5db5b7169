"""What travels: every record of ours in camelCase, and nothing kept of what has ended."""

import ast
import asyncio
import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from pygls.protocol import LanguageServerProtocol
from pygls.workspace import TextDocument, Workspace

import lsp_server
from lsp_server import protocol
from lsp_server.handlers import create_server
from lsp_server.jsonrpc import make_converter
from lsp_server.protocol import REQUESTS, RESET_SESSION, wire_name
from tests.fakes import FakeEngine
from tests.lsp_server.client import URI

RECORDS = [value for value in vars(protocol).values() if isinstance(value, type) and is_dataclass(value)]
PRIVATE = {
    "_converter": LanguageServerProtocol,
    "_create_text_document": Workspace,
    "_execute_handler": LanguageServerProtocol,
    "_handle_cancel_notification": LanguageServerProtocol,
    "_handle_response": LanguageServerProtocol,
    "_request_futures": LanguageServerProtocol,
    "_send_data": LanguageServerProtocol,
    "_send_response": LanguageServerProtocol,
    "_shutdown": LanguageServerProtocol,
    "_source": TextDocument,
    "_workspace": LanguageServerProtocol,
}
"""What we use of pygls that is not public, and whose it is."""
INITIALIZE: dict[str, Any] = {"capabilities": {}, "processId": None, "rootUri": None}
START = {"line": 0, "character": 0}


def sample(hint: Any) -> Any:  # noqa: ANN401 - a value of any type
    """A value of a type."""
    if is_dataclass(hint) and isinstance(hint, type):
        return hint(**{name: sample(kind) for name, kind in get_type_hints(hint).items()})
    if get_origin(hint) is list:
        return [sample(get_args(hint)[0])]
    if get_args(hint):
        first = get_args(hint)[0]
        return sample(first) if isinstance(first, type) else first
    return hint(1)


class Writer:
    """Keeps the messages of a server."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def write(self, data: bytes) -> None:
        """Keeps the body of a message."""
        self.messages.append(json.loads(data.split(b"\r\n\r\n", 1)[1]))

    def close(self) -> None:
        """Keeps what it has."""


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: str(record.__name__))
def test_every_record_travels_in_camel_case_and_comes_back(record: type) -> None:
    value, converter = sample(record), make_converter()

    sent = converter.unstructure(value)

    assert list(sent) == [wire_name(field.name) for field in fields(record)]
    assert "_" not in json.dumps(sent)
    assert converter.structure(json.loads(json.dumps(sent)), record) == value


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: str(record.__name__))
def test_a_client_is_told_of_a_record_as_pygls_would_tell(record: type) -> None:
    protocol, writer = create_server(lambda config, _: FakeEngine(config)).protocol, Writer()
    protocol.set_writer(writer)

    protocol.tell("greenCode/something", sample(record))
    protocol.notify("greenCode/something", sample(record))

    [told, notified] = writer.messages
    assert told == notified


@pytest.mark.parametrize("method", REQUESTS)
def test_the_parameters_of_every_request_are_read(method: str, tmp_path: Path) -> None:
    server = create_server(lambda config, _: FakeEngine(config), ledger_path=tmp_path / "ledger.sqlite3")
    params = sample(REQUESTS[method])
    sent = {"jsonrpc": "2.0", "id": 1, "method": method, "params": make_converter().unstructure(params)}

    assert server.protocol.structure_message(sent).params == params


class Connection:
    """A server in this process, with one open document, and what it has sent."""

    def __init__(self, ledger: Path) -> None:
        self.server = create_server(lambda config, _: FakeEngine(config), ledger_path=ledger)
        self.writer = Writer()
        self.server.protocol.set_writer(self.writer)
        self.send("initialize", INITIALIZE, id=1)
        document = {"uri": URI, "languageId": "python", "version": 1, "text": ""}
        self.send("textDocument/didOpen", {"textDocument": document})

    @property
    def text(self) -> str:
        """The document's text."""
        return self.server.documents.get_text_document(URI).source

    def send(self, method: str, params: dict[str, Any], **message: object) -> None:
        """Sends a message, a request where it has an id."""
        body = {"jsonrpc": "2.0", "method": method, "params": params, **message}
        self.server.protocol.receive(json.dumps(body).encode())

    def type(self, text: str, **message: object) -> None:
        """Types at the start of the document."""
        change = {"range": {"start": START, "end": START}, "text": text}
        document = {"uri": URI, "version": 2}
        self.send("textDocument/didChange", {"textDocument": document, "contentChanges": [change]}, **message)


@pytest.fixture
async def connection(tmp_path: Path) -> Connection:
    return Connection(tmp_path / "ledger.sqlite3")


async def test_nothing_is_kept_of_a_notification_that_was_handled(connection: Connection) -> None:
    for _ in range(50):
        connection.type("x")

    assert [message["id"] for message in connection.writer.messages] == [1]
    assert connection.text == "x" * 50
    assert connection.server.protocol._request_futures == {}


async def test_a_second_handshake_is_refused_and_open_documents_stay_open(connection: Connection) -> None:
    connection.type("x")
    connection.send("initialize", INITIALIZE, id=2)

    assert connection.writer.messages[-1]["id"] == 2
    assert connection.writer.messages[-1]["error"]["message"] == "The server is initialized already."
    assert connection.text == "x"


async def test_a_request_by_the_name_of_a_notification_is_refused(connection: Connection) -> None:
    connection.type("x", id=2)

    assert connection.writer.messages[-1]["id"] == 2
    assert connection.writer.messages[-1]["error"]["message"] == "The message textDocument/didChange is no request."
    assert connection.text == ""


async def test_an_answer_that_nobody_asked_for_ends_no_request(connection: Connection) -> None:
    place = {"textDocument": {"uri": URI}, "position": START, "context": {"triggerKind": 1}}
    connection.send("textDocument/inlineCompletion", place, id=2)
    for answer in ({"result": None}, {"error": {"code": 1, "message": ""}}, {"error": 7}):
        connection.server.protocol.receive(json.dumps({"jsonrpc": "2.0", "id": 2, **answer}).encode())
    for _ in range(100):
        await asyncio.sleep(0)

    assert [message["result"] for message in connection.writer.messages if message.get("id") == 2] == [{"items": []}]


async def test_fields_of_a_message_inside_another_mean_nothing(connection: Connection) -> None:
    connection.send("greenCode/unheardOf", {"jsonrpc": "2.0", "method": "initialize", "id": 7}, id=2)

    assert [message["id"] for message in connection.writer.messages] == [1, 2]


@pytest.mark.parametrize("name", PRIVATE)
def test_pygls_still_has_the_private_names_that_we_use(name: str) -> None:
    server = create_server(lambda config, _: FakeEngine(config))
    instances = {
        Workspace: Workspace(None),
        TextDocument: TextDocument(URI, ""),
        LanguageServerProtocol: LanguageServerProtocol(server, make_converter()),
    }

    assert hasattr(instances[PRIVATE[name]], name)


def test_one_module_alone_uses_private_names_of_pygls() -> None:
    users = set()
    for path in Path(lsp_server.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "name", "")
            if name in PRIVATE:
                users.add(path.name)

    assert users == {"pygls_internals.py"}


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "1.0", "id": 7, "method": RESET_SESSION},
        {"jsonrpc": None, "id": 7, "method": RESET_SESSION},
        {"jsonrpc": "2.0", "id": 7, "method": 5},
        {"jsonrpc": "2.0", "id": 7, "method": "textDocument/didSave"},
        {"jsonrpc": "2.0", "id": [7], "method": RESET_SESSION},
        {"jsonrpc": "2.0", "id": None, "method": RESET_SESSION},
    ],
)
def test_a_request_that_is_no_proper_one_is_refused(message: dict[str, object]) -> None:
    server = create_server(lambda _config, _progress: FakeEngine())
    writer = Writer()
    server.protocol.set_writer(writer)

    server.protocol.receive(json.dumps(message).encode())

    (answer,) = writer.messages
    assert answer["id"] == (7 if message["id"] == 7 else None)
    assert answer["error"]["code"] in {-32600, -32602}
