"""`Connection`: questions to one completion server over HTTP, and its answers piece by piece.

Requests run on an event loop in a thread of its own, so that whoever waits can leave at any moment: the connection is
then closed, and the server stops. It knows no prompt and no suggestion. Certificates are always verified; nothing is
sent on to where a server points.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import queue
import re
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2

from engine.errors import ConfigError, EngineError, RemoteAwayError, RemoteError
from engine.remote.refusals import not_a_server, parsed, refusal, said_in_stream, said_nothing
from engine.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator, Sequence
    from concurrent.futures import Future

    from engine.remote.address import Address
    from engine.types import CancellationToken

CONNECT_S = 5.0
SILENCE_S = 20.0  # without a byte
PAUSE_S = 5.0  # between pieces: a server whose model has ended may keep the connection
ANSWER_S = 60.0  # for a whole answer, however it trickles: nobody waits as long for a suggestion
POLL_S = 0.01
WAIT_S = 0.1
CLOSE_S = 1.0
_TOKEN = re.compile(r"[\x21-\x7e]+")
_T = TypeVar("_T")


class Connection:
    """One server. One thread at a time asks.

    Args:
        address: Where it is.
        token: What it knows the user by; "" for none.

    Raises:
        ConfigError: The token cannot be sent, or anybody could read it on its way, or the environment names a proxy or
            certificates that cannot be used.
    """

    def __init__(self, address: Address, token: str) -> None:
        if token and not _TOKEN.fullmatch(token):
            raise ConfigError(
                Sentence("The remote token has blanks or letters that no server can be sent; set it anew.")
            )
        if token and not (address.is_encrypted or address.is_here):
            raise ConfigError(
                Sentence(
                    "The token would travel to {host} for anybody to read; use https:// in greenCode.remote.url.",
                    host=address.host,
                )
            )
        self.host = address.host
        self._while_waiting: Callable[[], None] = _nothing
        self._token = token
        try:
            self._client = httpx2.AsyncClient(
                base_url=address.base,
                headers={"User-Agent": "green-code", **({"Authorization": f"Bearer {token}"} if token else {})},
                timeout=httpx2.Timeout(SILENCE_S, connect=CONNECT_S),
                follow_redirects=False,
                trust_env=not address.is_here,  # proxies, and certificates of the user's own
            )
        except (ImportError, OSError, ValueError, httpx2.InvalidURL) as error:
            raise ConfigError(
                Sentence(
                    "The proxy or the certificates that the environment names for {host} cannot be used ({reason}).",
                    host=address.host,
                    reason=_reason(error) if isinstance(error, OSError) else str(error).partition("\n")[0].rstrip("."),
                )
            ) from error
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="remote", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def telling(self, tell: Callable[[], None]) -> Iterator[None]:
        """Inside, `tell` is called as long as a question has no answer; what it raises gives the question up."""
        self._while_waiting = tell
        try:
            yield
        finally:
            self._while_waiting = _nothing

    def ask(self, path: str, body: Any | None = None) -> tuple[int, bytes]:  # noqa: ANN401 - any JSON
        """Sends a question, by GET where it has no body; status and body of the answer.

        Raises:
            EngineError: There is no answer, or it speaks of the token.
        """
        status, answer = self.answer(self._start(self._ask(path, body)))
        if status in {401, 403}:
            raise self.refusal(status, answer)
        return status, answer

    def begin(self, path: str) -> Future[tuple[int, bytes]]:
        """Sends a question by GET, and does not wait."""
        return self._start(self._ask(path, None))

    def answer(self, asked: Future[tuple[int, bytes]], within_s: float | None = None) -> tuple[int, bytes]:
        """Waits for status and body of an answer, so many seconds or as long as for any.

        Raises:
            EngineError: There is none.
        """
        return self._result(asked, within_s)

    def events(self, path: str, body: Any, cancellation: CancellationToken) -> Generator[dict[str, Any]]:  # noqa: ANN401
        """Sends a question whose answer comes in pieces; ends early, without a word, where it is cancelled.

        Raises:
            EngineError: There is no answer, or it breaks off.
        """
        inbox: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        reading = self._start(self._read(path, body, inbox))
        latest_s = end_s = time.monotonic() + ANSWER_S
        try:
            while not cancellation.is_cancelled:
                if time.monotonic() > latest_s:
                    raise self._too_slow()
                with contextlib.suppress(queue.Empty):
                    event = inbox.get(timeout=POLL_S)
                    if event is None:
                        break
                    yield event
                    latest_s = min(end_s, time.monotonic() + PAUSE_S)
            if not cancellation.is_cancelled:
                self._result(reading)
        finally:
            reading.cancel()

    def refusal(self, status: int, body: bytes) -> EngineError:
        """Why an answer is none."""
        return refusal(self.host, status, body, self._token)

    def close(self) -> None:
        """Closes what is open."""
        if self._thread.is_alive():
            with contextlib.suppress(concurrent.futures.TimeoutError):
                self._start(self._end()).result(CLOSE_S)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CLOSE_S)
        if not self._thread.is_alive():
            self._loop.close()

    def _start(self, work: Coroutine[Any, Any, _T]) -> Future[_T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _result(self, work: Future[_T], within_s: float | None = None) -> _T:
        latest_s = time.monotonic() + (ANSWER_S if within_s is None else within_s)
        try:
            while not concurrent.futures.wait([work], min(WAIT_S, max(0.0, latest_s - time.monotonic()))).done:
                self._while_waiting()
                if time.monotonic() > latest_s:
                    raise self._too_slow()
            return work.result()
        except httpx2.TimeoutException as error:
            raise self._too_slow() from error
        except httpx2.ConnectError as error:
            raise self._no_connection(error) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise RemoteAwayError(
                Sentence(
                    "The connection to the completion server {host} broke off ({reason}).",
                    host=self.host,
                    reason=_reason(error),
                )
            ) from error
        finally:
            work.cancel()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.aclose()
        await self._loop.shutdown_asyncgens()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)

    async def _ask(self, path: str, body: Any | None) -> tuple[int, bytes]:  # noqa: ANN401
        async with self._sent("GET" if body is None else "POST", path, body) as answer:
            return answer.status_code, await answer.aread()

    @contextlib.asynccontextmanager
    async def _sent(self, method: str, path: str, body: Any | None) -> AsyncIterator[httpx2.Response]:  # noqa: ANN401
        """Sends a question; once more where the server has closed a connection that was kept open, at that moment."""
        request = self._client.build_request(method, path, json=body)
        try:
            answer = await self._client.send(request, stream=True)
        except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
            answer = await self._client.send(request, stream=True)
        try:
            yield answer
        finally:
            await answer.aclose()

    async def _read(self, path: str, body: Any, inbox: queue.SimpleQueue[dict[str, Any] | None]) -> None:  # noqa: ANN401
        is_begun = False
        try:
            async with self._sent("POST", path, body) as answer:
                if answer.status_code != httpx2.codes.OK:
                    raise self.refusal(answer.status_code, await answer.aread())
                if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                    raise not_a_server(self.host)
                async with contextlib.aclosing(aiter(httpx2.EventSource(answer))) as events:  # type: ignore[type-var]
                    async for sent in events:
                        if sent.data == "[DONE]":
                            return
                        inbox.put(self._event(sent.data))
                        is_begun = True
            if not is_begun:
                raise said_nothing(self.host)
        finally:
            inbox.put(None)

    def _event(self, data: str) -> dict[str, Any]:
        event = parsed(data)
        if not isinstance(event, dict):
            raise not_a_server(self.host)
        if "error" in event:
            raise said_in_stream(self.host, event, self._token)
        return event

    def _too_slow(self) -> EngineError:
        return RemoteAwayError(Sentence("The completion server {host} did not answer in time.", host=self.host))

    def _no_connection(self, error: Exception) -> EngineError:
        fault = _tls_fault(error)
        if fault is None:
            return RemoteAwayError(
                Sentence(
                    "The completion server {host} cannot be reached ({reason}).", host=self.host, reason=_reason(error)
                )
            )
        if isinstance(fault, ssl.SSLCertVerificationError):
            return RemoteError(
                Sentence(
                    "The certificate of {host} cannot be trusted ({verify_message}), so nothing was sent.",
                    host=self.host,
                    verify_message=fault.verify_message,
                )
            )
        return RemoteError(
            Sentence(
                "There is no encrypted connection to {host} ({reason}), so nothing was sent.",
                host=self.host,
                reason=_reason(fault),
            )
        )


def _nothing() -> None:
    """Whoever waits, waits."""


def _tls_fault(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def _reason(error: Exception) -> str:
    """What the system says, without its number."""
    at_root: BaseException = error
    while (below := _below(at_root)) is not None:
        at_root = below
    words = at_root.strerror if isinstance(at_root, OSError) and at_root.strerror else str(at_root)
    if isinstance(at_root, OSError) and at_root.errno and "Connect call failed" in words:
        words = os.strerror(at_root.errno)  # asyncio names the address there, and not the reason
    line = re.sub(r"^\[.*?\]\s*|\s*\(_ssl\.c:\d+\)$", "", words.strip().partition("\n")[0]).rstrip(".")
    return line or type(error).__name__


def _below(error: BaseException) -> BaseException | None:
    """What an error came of; of several addresses that were tried, at the first."""
    several: Sequence[BaseException] = getattr(error, "exceptions", ())  # a group's, which Python 3.10 lacks
    return several[0] if several else error.__cause__ or error.__context__
