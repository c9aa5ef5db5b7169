"""`HttpPeer`: a running llama.cpp server, asked as llama.vscode asks it by default; its rules are `llama_vscode`.

Like that client it asks for three candidates and shows the first that passes, asks once more ahead for each suggestion
shown at a line's end, breaks no request off, and looks every 150 ms whether the one before has ended; what is asked
ahead does not wait, the server has a queue. Chunks of other files are left out. The server is not started here; its
CPU time is read from the process that listens and its children.
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import psutil

from engine.errors import ConfigError, EngineError
from engine.process_tree import cpu_s_of
from engine.remote.refusals import words_of
from lsp_server.replay.llama_vscode import (
    ClientPlace,
    Memory,
    client_place_at,
    indentation,
    inserted,
    place_after,
    place_below,
    shown,
    without_blank_end,
)
from lsp_server.replay.servers import Costs, Offer

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

_TIMEOUT_S = 300.0  # its client has none
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerClient:
    """What the peer's client does by default; every figure is a setting or a constant of llama.vscode.

    Attributes:
        endpoint: "/infill" for a model that fills in the middle, "/completion" for one that goes on. The second is
            ours: llama.vscode knows only the first. It leaves a blank line's indentation in the prompt, since without
            it a third less of what such a model says there is kept.
        looks_again_s: How often a request looks whether the one before it has ended.
    """

    endpoint: Literal["/infill", "/completion"] = "/infill"
    lines_above: int = 256
    lines_below: int = 64
    n_predict: int = 128
    t_max_prompt_ms: int = 500
    t_max_predict_ms: int = 500
    candidates: int = 3
    cached: int = 250
    max_right_chars: int = 8
    asks_ahead: bool = True
    looks_again_s: float = 0.15


class HttpPeer:
    """A running server, and the imitated client's state.

    Args:
        url: Such as "http://127.0.0.1:8012".
        client: What its client does.

    Raises:
        ConfigError: That is no address.
    """

    def __init__(self, url: str, client: PeerClient) -> None:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise ConfigError(f"'{url}' is no address of a server; write it as http://127.0.0.1:8012.")
        self._url = url.rstrip("/")
        self._client = client
        self._process = _listener(url)
        self._text = ""
        self._cpu_s: float | None = None
        self._forget()

    async def begin(self, language_id: str, text: str, path: Path | None = None) -> None:
        """Forgets everything, and sees whether the server takes such requests; language and file are nothing to it.

        Raises:
            EngineError: It does not, for the reason told.
        """
        self._text = text
        self._forget()
        trial = self._body(ClientPlace(above="\n", prompt="", behind="\n"), indent=0)
        await asyncio.to_thread(self._post, {**trial, "n_predict": 1})
        self._cpu_s = self._process_cpu_s()

    def edit(self, offset: int, removed: int, text: str) -> None:
        """Keeps the text; the server is sent it with each request."""
        self._text = self._text[:offset] + text + self._text[offset + removed :]

    async def ask(self, offset: int) -> Offer | None:
        """Asks as after a key. A request that is taken back goes on, as it does with this client.

        Raises:
            EngineError: This request, or one before it, has failed.
        """
        for sent in self._sent:
            if sent.done():
                sent.result()
        before, behind = self._text[:offset], self._text[offset:]
        try:
            while self._request is not None and not self._request.done():
                await asyncio.sleep(self._client.looks_again_s)
        except asyncio.CancelledError:
            self._skipped += 1
            raise
        rest = behind.partition("\n")[0]
        if len(rest) > self._client.max_right_chars:
            self._skipped += 1
            return None
        place = self._place(before, behind)
        suggestion = await self._suggestion(place, before, behind)
        if suggestion and not rest.strip() and self._client.asks_ahead:
            self._ask_ahead(place, suggestion)
        text = inserted(suggestion, before)
        return Offer(text=text, completion_id="") if text.strip() else None

    async def accepted(self, offer: Offer) -> None:
        """This server wants to know nothing of it."""

    async def end(self, kept: Collection[str]) -> Costs:
        """Waits for what still runs, and sums up.

        Raises:
            EngineError: A request has failed.
        """
        await asyncio.gather(*self._sent)
        spent_s = self._process_cpu_s()
        return Costs(
            cpu_s=None if spent_s is None or self._cpu_s is None else spent_s - self._cpu_s,
            energy_j=None,
            provenance="none",
            wasted_j=None,
            computed=len(self._sent),
            reused=self._reused,
            cancelled=self._cancelled,
            skipped=self._skipped,
            tokens=self._tokens,
            layers=None,
        )

    def _forget(self) -> None:
        self._memory = Memory(self._client.cached)
        self._request: asyncio.Task[Sequence[str]] | None = None
        self._sent: list[asyncio.Task[Sequence[str]]] = []
        self._reused = self._cancelled = self._skipped = self._tokens = 0

    def _place(self, before: str, behind: str) -> ClientPlace:
        return client_place_at(
            before, behind, lines_above=self._client.lines_above, lines_below=self._client.lines_below
        )

    async def _suggestion(self, place: ClientPlace, before: str, behind: str) -> str:
        texts = self._memory.find(place)
        if texts is not None:
            self._reused += 1
            return next(filter(None, (shown(text, before, behind) for text in texts)), "")
        self._request = asyncio.create_task(self._ask_at(place, before, behind))
        self._sent.append(self._request)
        try:
            texts = await asyncio.shield(self._request)
        except asyncio.CancelledError:
            self._cancelled += 1
            raise
        return next(iter(texts), "")

    async def _ask_at(self, place: ClientPlace, before: str, behind: str) -> Sequence[str]:
        answers = await self._answers(place, indentation(before, behind))
        texts = [text for text in (shown(answer, before, behind) for answer in answers) if text]
        if texts:
            self._memory.remember(place, texts)
        return texts

    def _ask_ahead(self, place: ClientPlace, suggestion: str) -> None:
        first, *others = suggestion.split("\n")
        below, after = place_below(place, first), place_after(place, suggestion, lines_above=self._client.lines_above)
        if others and below not in self._memory:
            self._memory.remember(below, ["\n".join(others)])
        if after not in self._memory:
            indent = len(place.prompt) - len(place.prompt.lstrip())
            self._sent.append(asyncio.create_task(self._ask_about(after, indent)))

    async def _ask_about(self, place: ClientPlace, indent: int) -> Sequence[str]:
        answers = await self._answers(place, indent)
        texts = [text for text in map(without_blank_end, answers) if text]
        self._memory.remember(place, texts)
        return texts

    async def _answers(self, place: ClientPlace, indent: int) -> list[str]:
        """The candidates from the cursor's line on, each once, in the server's order."""
        answer = await asyncio.to_thread(self._post, self._body(place, indent))
        results = answer if isinstance(answer, list) else [answer]
        self._tokens += sum(int(result.get("tokens_predicted") or 0) for result in results)
        begun = place.indentation if self._client.endpoint == "/completion" else ""
        return list(dict.fromkeys(begun + str(result.get("content") or "") for result in results))

    def _body(self, place: ClientPlace, indent: int) -> dict[str, Any]:
        """The body of a request to llama.cpp, as its editor client fills it."""
        client = self._client
        settings = {
            "id_slot": 0,
            "n_predict": client.n_predict,
            "n_cmpl": client.candidates,
            "top_k": 40,
            "top_p": 0.99,
            "stream": False,
            "samplers": ["top_k", "top_p", "infill"],
            "cache_prompt": True,
            "t_max_prompt_ms": client.t_max_prompt_ms,
            "t_max_predict_ms": client.t_max_predict_ms,
            **({"n_indent": indent} if indent else {}),
        }
        if client.endpoint == "/completion":
            return {"prompt": place.above + place.indentation + place.prompt, **settings}
        return {
            "input_prefix": place.above,
            "prompt": place.prompt,
            "input_suffix": place.behind,
            "input_extra": [],
            **settings,
        }

    def _post(self, body: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self._url + self._client.endpoint, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the same
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise EngineError(f"The server at {self._url} refused to complete: {_reason(error)}") from error
        except (ValueError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise EngineError(f"The server at {self._url} did not answer: {reason}.") from error

    def _process_cpu_s(self) -> float | None:
        """CPU time of the process and of all that it has started; None where it cannot be seen."""
        if self._process is None:
            return None
        try:
            return cpu_s_of(self._process.pid)
        except psutil.Error:
            return None


def _reason(error: urllib.error.HTTPError) -> str:
    """The server's own words, as one sentence."""
    return words_of(error.read()) or f"{error.code} {error.reason}."


def _listener(url: str) -> psutil.Process | None:
    """The process that listens at an address of this machine; None where it cannot be seen."""
    parts = urlsplit(url)
    if parts.hostname not in _LOCAL:
        return None
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == parts.port and connection.status == psutil.CONN_LISTEN:
                return psutil.Process(connection.pid) if connection.pid else None
    except psutil.Error:
        pass
    return None
