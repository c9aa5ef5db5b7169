"""`HttpPeer`: a completion server such as llama.cpp's, behind what its own VS Code client does by default.

The client imitated is llama.vscode 0.0.63: no wait beyond the editor's, 256 lines before the cursor and 64 behind it,
128 tokens in 500 ms, three candidates of which one is shown, an LRU of 250 answers that is searched back over what was
typed, no request where more than 8 characters stand right of the cursor, inside a line the first line only, one more
request ahead for each suggestion shown, and no request is ever broken off: a newer one waits for the older to end.
Cross-file chunks are left out. The server is not started here; its CPU time is read from the process that listens.
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import psutil

from engine.errors import ConfigError, EngineError
from lsp_server.bench.servers import Costs, Offer

if TYPE_CHECKING:
    from collections.abc import Collection

_TIMEOUT_S = 60.0
_SEARCHED_BACK = 128  # characters of what was typed


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerClient:
    """What the peer's client does by default; every figure is a setting of llama.vscode.

    Attributes:
        endpoint: "/infill" for a model that fills in the middle, "/completion" for one that goes on.
    """

    endpoint: Literal["/infill", "/completion"] = "/infill"
    lines_before: int = 256
    lines_behind: int = 64
    n_predict: int = 128
    t_max_predict_ms: int = 500
    candidates: int = 3
    cached: int = 250
    max_right_chars: int = 8
    asks_ahead: bool = True


class HttpPeer:
    """A running server, and the imitated client's state.

    Args:
        url: Such as "http://127.0.0.1:8012".
        client: What its client does.
    """

    def __init__(self, url: str, client: PeerClient) -> None:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise ConfigError(f"'{url}' is no address of a server; write it as http://127.0.0.1:8012.")
        self._url = url.rstrip("/") + client.endpoint
        self._client = client
        self._process = _listener(url)
        self._text = ""
        self._turn = asyncio.Lock()
        self._newest = 0
        self._ahead: set[asyncio.Task[None]] = set()
        self._known: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._computed = self._reused = self._cancelled = self._skipped = self._tokens = 0
        self._cpu_s: float | None = None

    async def begin(self, language_id: str, text: str) -> None:
        """Forgets everything; the language is nothing to this server."""
        self._text = text
        self._known.clear()
        self._computed = self._reused = self._cancelled = self._skipped = self._tokens = 0
        self._cpu_s = self._process_cpu_s()

    def edit(self, offset: int, removed: int, text: str) -> None:
        """Keeps the text; the server is sent it with each request."""
        self._text = self._text[:offset] + text + self._text[offset + removed :]

    async def ask(self, offset: int) -> Offer | None:
        """Asks as after a key. A request that is taken back goes on, as it does with this client."""
        self._newest += 1
        number, before, behind = self._newest, self._text[:offset], self._text[offset:]
        if len(behind.partition("\n")[0]) > self._client.max_right_chars:
            self._skipped += 1
            return None
        text = self._find(before, behind)
        if text is not None:
            self._reused += 1
        else:
            text = await self._ask_in_turn(number, before, behind)
        if text and self._client.asks_ahead:
            task = asyncio.create_task(self._ask_ahead(before + text, behind))
            self._ahead.add(task)
            task.add_done_callback(self._ahead.discard)
        return Offer(text=text, completion_id="") if text else None

    async def accepted(self, offer: Offer) -> None:
        """This server wants to know nothing of it."""

    async def end(self, kept: Collection[str]) -> Costs:
        """Waits for what still runs, and sums up."""
        await asyncio.gather(*self._ahead)
        async with self._turn:
            spent_s = self._process_cpu_s()
        return Costs(
            cpu_s=None if spent_s is None or self._cpu_s is None else spent_s - self._cpu_s,
            energy_j=None,
            provenance="none",
            wasted_j=None,
            computed=self._computed,
            reused=self._reused,
            cancelled=self._cancelled,
            skipped=self._skipped,
            tokens=self._tokens,
            layers=None,
        )

    def _find(self, before: str, behind: str) -> str | None:
        for n_typed in range(min(_SEARCHED_BACK, len(before)) + 1):
            place = (before[: len(before) - n_typed], behind)
            text = self._known.get(place)
            typed = before[len(before) - n_typed :]
            if text is not None and text.startswith(typed) and (len(text) > n_typed or not n_typed):
                self._known.move_to_end(place)
                return text[n_typed:]
        return None

    async def _ask_in_turn(self, number: int, before: str, behind: str) -> str | None:
        """Waits for the request before this one; the request itself is not broken off by a cancellation."""
        async with self._turn:
            if number != self._newest:
                self._skipped += 1
                return None
            request = asyncio.ensure_future(self._compute(before, behind))
            try:
                return await asyncio.shield(request)
            except asyncio.CancelledError:
                self._cancelled += 1
                await request
                raise

    async def _ask_ahead(self, before: str, behind: str) -> None:
        async with self._turn:
            if self._find(before, behind) is None:
                await self._compute(before, behind)

    async def _compute(self, before: str, behind: str) -> str:
        self._computed += 1
        answer = await asyncio.to_thread(self._post, self._body(before, behind))
        results = answer if isinstance(answer, list) else [answer]
        self._tokens += sum(int(result.get("tokens_predicted") or 0) for result in results)
        text = str(results[0].get("content") or "")
        if behind.partition("\n")[0].strip():
            text = text.partition("\n")[0]
        text = text.rstrip()
        self._known[before, behind] = text
        if len(self._known) > self._client.cached:
            self._known.popitem(last=False)
        return text

    def _body(self, before: str, behind: str) -> dict[str, Any]:
        client = self._client
        lines = before.split("\n")
        earlier = "".join(f"{line}\n" for line in lines[-client.lines_before - 1 : -1])
        settings = {
            "n_predict": client.n_predict,
            "t_max_predict_ms": client.t_max_predict_ms,
            "n_cmpl": client.candidates,
            "top_k": 40,
            "top_p": 0.99,
            "stream": False,
            "samplers": ["top_k", "top_p", "infill"],
            "cache_prompt": True,
        }
        if client.endpoint == "/completion":
            return {"prompt": earlier + lines[-1], **settings, "samplers": ["top_k", "top_p"]}
        later = "\n".join(behind.split("\n")[: client.lines_behind])
        return {"input_prefix": earlier, "prompt": lines[-1], "input_suffix": later, "input_extra": [], **settings}

    def _post(self, body: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self._url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the same
                return json.load(answer)
        except (urllib.error.URLError, ValueError, OSError) as error:
            raise EngineError(f"The server at {self._url} did not answer: {error}.") from error

    def _process_cpu_s(self) -> float | None:
        if self._process is None:
            return None
        times = self._process.cpu_times()
        return float(times.user + times.system)


def _listener(url: str) -> psutil.Process | None:
    """The process that listens at an address of this machine; None where it cannot be seen."""
    port = urlsplit(url).port
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                return psutil.Process(connection.pid) if connection.pid else None
    except psutil.Error:
        pass
    return None
