"""A stand-in for the model hub: an HTTP server on this machine."""

from __future__ import annotations

import json
import re
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from pathlib import Path
    from socketserver import BaseServer

COMMIT = "1" * 40
_COMMIT = re.compile("[0-9a-f]{40}")


class Hub(BaseHTTPRequestHandler):
    """The four kinds of request that a download makes; `folders` are the repositories."""

    protocol_version = "HTTP/1.1"

    @property
    def newest(self) -> str:
        """The commit of today."""
        return COMMIT

    def __init__(
        self, folders: dict[str, Path], asked: list[str], request: socket.socket, address: object, server: BaseServer
    ) -> None:
        self.folders = folders
        self.asked = asked
        super().__init__(request, address, server)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        repo_id = "/".join(re.sub(r"^/api/models", "", self.path).split("/")[1:3])
        if repo_id in self.folders and (self.folders[repo_id] / "gated").exists():
            self._answer(b"{}", status=401, headers={"X-Error-Code": "GatedRepo"})
        elif repo_id not in self.folders:
            self._answer(b"{}", status=404, headers={"X-Error-Code": "RepoNotFound"})
        elif "/resolve/" in self.path:
            self._answer_file(self.folders[repo_id] / self.path.rpartition("/")[2])
        elif "/tree/" in self.path:
            files = self.folders[repo_id].iterdir()
            self._answer(json.dumps([listed(file) for file in files]).encode())
        else:
            named = self.path.rpartition("/revision/")[2]
            commit = named if _COMMIT.fullmatch(named) else self.newest
            self._answer(json.dumps({"id": repo_id, "sha": commit, "siblings": []}).encode())

    def _answer_file(self, file: Path) -> None:
        commit = self.path.split("/resolve/")[1].split("/")[0]
        headers = {"ETag": f'"{_etag(file)}"', "X-Repo-Commit": commit}
        self._answer(file.read_bytes(), headers=headers)

    def _answer(self, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Says nothing."""


def _etag(file: Path) -> str:
    """As the real hub: SHA-256 for weights, which lie in LFS, and git's kind for the rest."""
    data = file.read_bytes()
    return sha256(data).hexdigest() if _is_large(file) else sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324 - git's own


def _is_large(file: Path) -> bool:
    return file.suffix in {".safetensors", ".bin"}


def listed(file: Path) -> dict[str, object]:
    """A file as the hub lists it."""
    entry = {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": _etag(file)}
    if not _is_large(file):
        return entry
    return entry | {"oid": "0" * 40, "lfs": {"oid": _etag(file), "size": entry["size"], "pointerSize": 100}}
