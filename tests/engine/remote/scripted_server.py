"""`ScriptedServer`: an HTTP server on this machine that says what a test wrote down, and keeps what it was asked."""

from __future__ import annotations

import json
import math
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from engine.config import EngineConfig
from engine.remote.remote_engine import RemoteEngine, load_remote_engine
from engine.types import CompletionRequest

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from typing_extensions import Self

MODELS = {"object": "list", "data": [{"id": "coder", "object": "model", "owned_by": "vllm", "max_model_len": 4096}]}


class ScriptedServer:
    """Answers by path.

    Attributes:
        answers: Status and body by path; a body that is a list of events is sent one by one.
        asked: What was asked, each as path and body.
        headers: Of the newest question.
        went_away: Set where a client has left before the end of an answer.
        go: Each event but the first waits for it.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, tuple[int, Any]] = {"/v1/models": (200, MODELS)}
        self.asked: list[tuple[str, Any]] = []
        self.headers: dict[str, str] = {}
        self.went_away = threading.Event()
        self.go = threading.Event()
        self.go.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def says(self, *texts: str, chances: tuple[float, ...] = (), end: str | None = "stop") -> None:
        """Answers `/v1/completions` with these pieces, and an end of text."""
        self.answers["/v1/completions"] = (200, [*events(*texts, chances=chances, end=end)])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - a class of short methods
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(None)

            def do_POST(self) -> None:
                self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def _answer(self, body: Any) -> None:  # noqa: ANN401 - any JSON
                script.asked.append((self.path, body))
                script.headers = dict(self.headers)
                status, answer = script.answers.get(self.path, (404, {"detail": "Not Found"}))
                if isinstance(answer, list) and status == 200:
                    self._stream(answer)
                    return
                sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def _stream(self, answer: list[object]) -> None:
                self.close_connection = True
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                try:
                    for n, event in enumerate(answer):
                        if n:
                            self._wait()
                        said = event if isinstance(event, str) else json.dumps(event)
                        self.wfile.write(f"data: {said}\n\n".encode())
                        self.wfile.flush()
                except OSError:
                    script.went_away.set()

            def _wait(self) -> None:
                """Until the test lets it go on; meanwhile looks whether anybody is there, as servers do."""
                while not script.go.wait(0.01):
                    self.wfile.write(b": still here\n\n")

            def log_message(self, *_: object) -> None:
                """Silent."""

        return Handler


def events(*texts: str, chances: tuple[float, ...] = (), end: str | None = "stop") -> Iterator[object]:
    """The events of `/v1/completions` for a text that comes in pieces, each a token."""
    for n, text in enumerate(texts):
        told = {"tokens": [text], "token_logprobs": [math.log(chances[n])]} if chances else None
        usage = {"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 3}}
        yield {"choices": [{"text": text, "logprobs": told, "finish_reason": None}], "usage": usage}
    if end is not None:
        yield {"choices": [{"text": "", "finish_reason": end}]}
    yield "[DONE]"


def loaded(server: ScriptedServer, *, token: str = "", model: str = "") -> RemoteEngine:
    return load_remote_engine(EngineConfig(remote_url=server.url, remote_model=model), token=token)


def request(prefix: str, suffix: str = "", **more: Any) -> CompletionRequest:  # noqa: ANN401
    return CompletionRequest(prefix=prefix, suffix=suffix, language_id="python", **more)
