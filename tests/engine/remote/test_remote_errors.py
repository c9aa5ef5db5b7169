"""What is told where a server elsewhere says nothing, or something else than a text: a sentence, never the token."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from engine.config import EngineConfig
from engine.errors import ConfigError, RemoteAwayError, RemoteError
from engine.remote import connection
from engine.remote.address import read_address
from engine.remote.remote_engine import load_remote_engine
from tests.engine.remote.scripted_server import ScriptedServer, events, loaded, request

if TYPE_CHECKING:
    from engine.remote.remote_engine import RemoteEngine

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        ("/v1/models", (401, {"error": {"message": "bad key s3cret"}}), r"refused the token; use the command Green"),
        ("/v1/completions", (403, {}), r"refused the token; use the command Green Code: Set Remote Token"),
        ("/v1/models", (200, b"<html>"), r"^What answers at 127\.0\.0\.1:\d+ is no completion server"),
        ("/v1/completions", (404, {"detail": "Not Found"}), r"is no completion server: it has neither"),
        (
            "/v1/completions",
            (404, {"error": "model 'coder' not found"}),
            r"has no such model: model 'coder' not found\.$",
        ),
        ("/v1/completions", (400, {"message": "Too\nlong. "}), r"refused to complete: Too long\.$"),
        ("/v1/completions", (500, b"oops"), r"refused to complete: 500 Internal Server Error\.$"),
        ("/v1/models", (401, {"error": "Unauthorized"}), r"refused the token; use the command Green Code"),  # vLLM's
        ("/v1/models", (307, {}), r"sends Green Code to another address"),
        ("/v1/models", (503, {"error": {"message": "Loading model"}}), r"cannot answer now: Loading model\.$"),
        ("/v1/completions", (400, {"message": "Bearer s3cret is no key"}), r"refused to complete: Bearer \*{3} is no"),
        ("/v1/models", (503, {"message": "quota of s3cret"}), r"cannot answer now: quota of \*{3}\.$"),
        ("/v1/models", (200, b"[" * 100_000), r"is no completion server"),
    ],
)
def test_a_server_that_does_not_complete_is_told_in_a_sentence(
    server: ScriptedServer, path: str, answer: tuple[int, Any], said: str
) -> None:
    server.answers[path] = answer

    with pytest.raises(RemoteError, match=said) as raised:
        loaded(server, token="s3cret")  # noqa: S106

    assert "s3cret" not in str(raised.value)
    assert isinstance(raised.value, RemoteAwayError) is (answer[0] == 503)


def test_a_server_that_wants_a_token_says_so(server: ScriptedServer) -> None:
    server.answers["/v1/models"] = (401, {})

    with pytest.raises(RemoteError, match=r"wants a token; use the command Green Code: Set Remote Token"):
        loaded(server)


def test_a_model_that_is_not_there_is_told_with_those_that_are(server: ScriptedServer) -> None:
    with pytest.raises(RemoteError, match=r"has no model writer; set greenCode\.remote\.model to one: coder\.$"):
        loaded(server, model="writer")

    server.answers["/v1/models"] = (200, {"data": [{"id": "coder"}, {"id": "writer"}]})
    with pytest.raises(RemoteError, match=r"several models; set greenCode\.remote\.model to one: coder, writer\.$"):
        loaded(server)
    engine = loaded(server, model="writer")
    assert engine.model_name == "writer"
    engine.close()


def test_a_server_that_breaks_off_is_told(server: ScriptedServer, engine: RemoteEngine) -> None:
    server.answers["/v1/completions"] = (200, [next(events("a")), {"error": {"message": "Out of memory"}}])

    with pytest.raises(RemoteError, match=r"^The completion server 127\.0\.0\.1:\d+ broke off: Out of memory\.$"):
        engine.complete(request("a = "))


def test_a_server_that_breaks_off_with_the_token_in_its_words_keeps_it(server: ScriptedServer) -> None:
    server.says("a")
    engine = loaded(server, token="s3cret")  # noqa: S106
    server.answers["/v1/completions"] = (200, [next(events("a")), {"error": {"message": "Key s3cret ran out"}}])

    with pytest.raises(RemoteError, match=r"broke off: Key \*{3} ran out\.$"):
        engine.complete(request("a = "))
    engine.close()


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("ALL_PROXY", "socks5://localhost:1", "Using SOCKS proxy"),
        ("ALL_PROXY", "socks://localhost:1", "Unknown scheme"),
        ("HTTPS_PROXY", "http://localhost:port", "Invalid port: 'port'"),
        ("SSL_CERT_FILE", "/nowhere.pem", "No such file or directory"),
    ],
)
def test_a_proxy_or_certificates_that_cannot_be_used_are_told(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(ConfigError, match=rf"that the environment names for example\.org cannot be used \({reason}"):
        load_remote_engine(EngineConfig(remote_url="https://example.org"))


@pytest.fixture(scope="session")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A certificate for this machine that no authority has signed."""
    folder = tmp_path_factory.mktemp("certificate")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "2"]
    subprocess.run(["openssl", "req", "-x509", *name, *made], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def test_a_certificate_that_nobody_vouches_for_is_refused(self_signed: ssl.SSLContext) -> None:
    with ScriptedServer(self_signed) as server:
        url = server.url.replace("http://", "https://")
        with pytest.raises(
            RemoteError, match=r"^The certificate of 127\.0\.0\.1:\d+ cannot be trusted \(.+\), so nothing"
        ):
            load_remote_engine(EngineConfig(remote_url=url), token="s3cret")  # noqa: S106

    assert server.asked == []


def test_what_speaks_no_tls_is_told(server: ScriptedServer) -> None:
    url = server.url.replace("http://", "https://")

    with pytest.raises(
        RemoteError, match=r"^There is no encrypted connection to 127\.0\.0\.1:\d+ \(.+\), so nothing was"
    ):
        load_remote_engine(EngineConfig(remote_url=url))


def test_nobody_there_may_pass() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    reached = rf"^The completion server 127\.0\.0\.1:{port} cannot be reached \(Connection refused\)\.$"
    with pytest.raises(RemoteAwayError, match=reached):
        load_remote_engine(EngineConfig(remote_url=f"http://127.0.0.1:{port}"))


def test_a_server_that_never_answers_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SILENCE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(RemoteAwayError, match="did not answer in time"):
        load_remote_engine(EngineConfig(remote_url=f"http://127.0.0.1:{mute.getsockname()[1]}"))


def test_a_server_that_nobody_waits_for_is_left() -> None:
    def progress(message: str, done: int, total: int | None) -> None:
        said.append(message)
        if len(said) > 2:
            raise KeyboardInterrupt

    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as mute:
        host = f"127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(KeyboardInterrupt):
            load_remote_engine(EngineConfig(remote_url=f"http://{host}"), progress=progress)

    assert said == [f"Asking the completion server {host}"] * 3


def test_a_connection_that_the_server_closes_at_that_very_moment_is_opened_again() -> None:
    models = b'{"data": [{"id": "coder"}]}'
    kept = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(models), models)

    def serve() -> None:
        for answers in ([kept, b""], [kept]):
            client, _ = listener.accept()
            for answer in answers:
                client.recv(10_000)
                client.sendall(answer)
            client.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        asked = connection.Connection(read_address(f"http://127.0.0.1:{listener.getsockname()[1]}"), "")
        answers = [asked.ask("/v1/models") for _ in range(2)]
        thread.join(10)
        asked.close()

    assert answers == [(200, models)] * 2


def test_an_answer_that_only_trickles_is_left(
    server: ScriptedServer, engine: RemoteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.says("a", "b")
    server.go.clear()
    monkeypatch.setattr(connection, "ANSWER_S", 0.2)

    with pytest.raises(RemoteAwayError, match="did not answer in time"):
        engine.complete(request("a = "))
    assert server.went_away.wait(10)


def test_an_answer_that_begins_and_stands_still_is_left(
    server: ScriptedServer, engine: RemoteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.says("a", "b")
    server.go.clear()
    monkeypatch.setattr(connection, "PAUSE_S", 0.2)

    with pytest.raises(RemoteAwayError, match="did not answer in time"):
        engine.complete(request("a = "))
    assert server.went_away.wait(10)
