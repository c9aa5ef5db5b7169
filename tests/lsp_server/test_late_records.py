"""lsprotocol's records are what they always are, each finished when it is first used."""

import hashlib
import hmac
import subprocess
import sys

from tests.told_apart import told_by

SCRIPT = """
import json, sys
if sys.argv[1] == "late":
    from lsp_server.late_records import import_late
    import_late()
import attrs
from lsprotocol import types
from lsp_server.jsonrpc import make_converter
converter = make_converter()
records = [one for one in types.ALL_TYPES_MAP.values() if isinstance(one, type) and hasattr(one, "__annotations__")]
finished = sum(isinstance(vars(one).get("__attrs_attrs__"), tuple) for one in records)
filled = sum("__doc__" in vars(one) and bool(vars(one).get("__annotations__")) for one in records)
class Folder(types.FoldingRange):
    def lines(self):
        return self.end_line - self.start_line
place = types.Position(line=1, character=2)
edit = {"range": {"start": {"line": 1, "character": 2}, "end": {"line": 1, "character": 3}}, "text": "a"}
def refused(make):
    try:
        make()
    except Exception as error:
        return type(error).__name__
print(json.dumps({
    "finished": finished,
    "filled": filled,
    "names": len(types.Position.__init__.__globals__),
    "modules": sorted({one.__module__ for one in records}),
    "fields": {
        one.__name__: [[field.name, str(field.type), repr(field.default), field.kw_only] for field in attrs.fields(one)]
        for one in records if attrs.has(one)
    },
    "uses": [
        repr(place), place == types.Position(1, 2), place < types.Position(1, 3), types.Position.__hash__ is None,
        Folder(start_line=1, end_line=4).lines(), types.FoldingRange.__doc__,
        repr(types.FoldingRange.__annotations__["kind"]),
        repr(types.WorkspaceFolder(uri="a", name="b")), types.WorkspaceFolder.__hash__ is None,
        types.WorkspaceFolder("a", "b") == types.WorkspaceFolder("a", "b"),
        types.WorkspaceFolder("a", "b") != types.WorkspaceFolder("a", "c"),
        types.WorkspaceFolder("a", "b") == ("a", "b"),
        types.WorkspaceFolder.__match_args__,
        repr(converter.structure(edit, types.TextDocumentContentChangePartial)),
        converter.unstructure(types.InlineCompletionList(items=[types.InlineCompletionItem(insert_text="x")])),
        refused(lambda: types.Position(line=-1, character=0)), refused(lambda: types.Position(row=1)),
        refused(lambda: converter.structure({"line": "a"}, types.Position)),
    ],
}))
"""


def test_late_records_are_as_others_and_few_are_finished_at_first() -> None:
    late, plain = told_by(SCRIPT, "late"), told_by(SCRIPT, "plain")

    assert len(plain["fields"]) > 500
    assert late["fields"] == plain["fields"]
    assert late["uses"] == plain["uses"]
    assert late["finished"] < 10 < plain["finished"]
    assert late["filled"] < 10 < plain["filled"]
    assert late["names"] < 100 < plain["names"]  # of what a record's own function sees
    assert late["modules"] == plain["modules"]


WITHOUT_OPENSSL = """
import sys
from lsp_server.late_records import import_late
import_late()
import lsp_server.handlers, lsp_server.stdio, engine.service.opened
import hmac
assert not {"_ssl", "_hashlib"} & sys.modules.keys()
assert hmac.new(b"token", b"x", "sha256").hexdigest() == sys.argv[1]
import ssl
assert ssl.create_default_context().verify_mode is ssl.CERT_REQUIRED
"""


def test_a_server_starts_without_openssl_and_may_import_it_later() -> None:
    right = hmac.new(b"token", b"x", "sha256").hexdigest()
    subprocess.run([sys.executable, "-c", WITHOUT_OPENSSL, right], check=True)


OPENSSL_ALONE = """
import sys
sys.modules.update(dict.fromkeys(("_md5", "_sha1", "_sha2", "_sha256", "_sha512", "_sha3")))  # as they were not built
from lsp_server.late_records import import_late
import_late()
import hashlib
assert hashlib.sha256(b"x").hexdigest() == sys.argv[1]
"""


def test_a_python_whose_sums_are_openssls_alone_takes_those() -> None:
    right = hashlib.sha256(b"x").hexdigest()
    done = subprocess.run([sys.executable, "-c", OPENSSL_ALONE, right], capture_output=True, text=True, check=True)
    assert done.stderr == ""  # hashlib tells of each sum that is missing
