"""START HERE for a server elsewhere. `load_remote_engine(config)` -> `RemoteEngine`; it completes as one here does.

The text is read as it comes, and the same rules say what of it is offered and when it ends: then the connection is
closed, and the server stops. Joules are what the server reports, and never made up.
"""

from __future__ import annotations

import math
import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from engine.completion.site import ended_by_rules, ignore_text, is_doubtful, offered, site_for
from engine.errors import RemoteRefusedError
from engine.policy.operating_point import text_chance
from engine.remote.address import read_address
from engine.remote.answers_here import AnswersHere
from engine.remote.connection import Connection
from engine.remote.discovery import discover
from engine.remote.energy_counter import EnergyCounter
from engine.remote.interfaces import one_by_one, read_whole
from engine.remote.reach import Reach
from engine.sentences import Sentence
from engine.types import (
    PROJECT_ALONE,
    Completion,
    CompletionToken,
    FinishReason,
    NeverCancelled,
    no_progress,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.completion.site import Site
    from engine.config import EngineConfig
    from engine.project.project_text import ProjectText
    from engine.remote.discovery import Offered
    from engine.remote.interfaces import Piece
    from engine.types import CancellationToken, CompletionRequest, ProgressSink


def load_remote_engine(config: EngineConfig, *, token: str = "", progress: ProgressSink = no_progress) -> RemoteEngine:
    """Connects to the server that the configuration names, and finds out how it is asked.

    Args:
        config: Where it is, and which of its models is meant.
        token: What it knows the user by; kept in memory alone.
        progress: Is called while the server is asked; what it raises ends that.

    Raises:
        EngineError: It cannot be had or used; the message says what to do.
    """
    address = read_address(config.remote_url)
    connection = Connection(address, token)

    def tell() -> None:
        progress(Sentence("Asking the completion server {host}", host=address.host), 0, None)

    try:
        tell()
        with connection.telling(tell):  # it raises once nobody waits for this server any more
            return RemoteEngine(connection, discover(connection, address, config.remote_model))
    except BaseException:
        connection.close()
        raise


class RemoteEngine:
    """A completion server elsewhere. One thread at a time."""

    def __init__(self, connection: Connection, server: Offered) -> None:
        self._connection, self._server = connection, server
        self._here = AnswersHere()
        self._energy = EnergyCounter(connection)
        self._reach = Reach(server.max_positions)

    @property
    def model_name(self) -> str:
        """The model, as the server calls it."""
        return self._server.model

    @property
    def device_name(self) -> str:
        """Where it runs, for people."""
        return Sentence("server {host}", host=self._connection.host)

    @property
    def remote_host(self) -> str | None:
        """The server that text is sent to."""
        return self._connection.host

    @property
    def shared_as(self) -> str:
        """Whether others are served there first is not told."""
        return ""

    @property
    def layers_total(self) -> int | None:
        """Servers do not say."""
        return None

    @property
    def energy_source(self) -> str:
        """How joules are had, or why there are none."""
        return self._energy.told

    @property
    def meters_refused(self) -> tuple[str, ...]:
        """None were tried: they would count this machine."""
        return ()

    def project(self, name: str) -> ProjectText:
        """The text of a project, which answers where it is sure of all; to be filled from any thread."""
        return self._here.project(name)

    def complete(
        self,
        request: CompletionRequest,
        *,
        cancellation: CancellationToken | None = None,
        on_text: Callable[[str], None] = ignore_text,
    ) -> Completion:
        """Completes the text at one place; a cancelled request returns too, with no text.

        Raises:
            EngineError: The server does not answer, or refuses.
        """
        started_s = time.perf_counter()
        cancellation = cancellation or NeverCancelled()
        self._energy.forget()  # of a request that failed
        site = self._site(request)
        if (here := self._here.answer(site, request.green_mode)) is not None:
            raw, ended = here
            text = _RemoteText(raw=raw, started_s=started_s, finish_reason=ended, policy=PROJECT_ALONE)
        elif request.policy == PROJECT_ALONE:
            text = _RemoteText(raw="", started_s=started_s, finish_reason=FinishReason.POLICY, policy=PROJECT_ALONE)
        else:
            asked = _Asked(request=request, started_s=started_s, cancellation=cancellation, on_text=on_text)
            site, text = self._ask(site, asked)
        left_off = FinishReason.CANCELLED if cancellation.is_cancelled else FinishReason.STOP
        reason = text.finish_reason or left_off
        elapsed_s = time.perf_counter() - started_s
        return Completion(
            text=offered(site, text.raw, reason),
            tokens=tuple(text.tokens),
            finish_reason=reason,
            energy=self._energy.end(elapsed_s),
            baseline_energy_j=None,
            saved_range_j=None,
            work={},
            prompt_tokens=text.prompt_tokens,
            reused_tokens=text.reused_tokens,
            elapsed_s=elapsed_s,
            first_token_s=text.first_token_s,
            layers_total=None,
            model=self.model_name,
            device=self.device_name,
            policy=text.policy,
            green_mode=request.green_mode,
        )

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _site(self, request: CompletionRequest) -> Site:
        options = self._reach.options(request.prompt, request.max_new_tokens)
        return site_for(replace(request, prompt=options))

    def _ask(self, site: Site, asked: _Asked) -> tuple[Site, _RemoteText]:
        """What the server says, and at which site: one with less of the document, where it refuses a longer one."""
        try:
            return site, self._ask_once(site, asked)
        except RemoteRefusedError:
            if not self._reach.shorten():
                raise
        return self._ask(self._site(asked.request), asked)

    def _ask_once(self, site: Site, asked: _Asked) -> _RemoteText:
        prompt, said = read_whole(site.prompt)
        request, text = asked.request, _RemoteText(raw=said, started_s=asked.started_s)
        interface = self._server.interface
        if interface.is_empty(prompt):
            text.finish_reason = FinishReason.STOP
            return text
        self._energy.begin()
        body = interface.body(prompt, request.max_new_tokens)
        events = self._connection.events(interface.path, body, asked.cancellation)
        try:
            with closing(events):
                pieces = map(interface.read, events)
                text.read(site, pieces, least_chance=_least_chance(request), on_text=asked.on_text)
        finally:
            waited_s = time.perf_counter() - asked.started_s
            self._reach.note(text.first_token_s, waited_s, text.prompt_tokens, request.max_new_tokens)
        return text


def _least_chance(request: CompletionRequest) -> float:
    return text_chance(request.green_mode) if request.may_give_up else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A request that only the server can answer, and who waits for it."""

    request: CompletionRequest
    started_s: float
    cancellation: CancellationToken
    on_text: Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class _RemoteText:
    """A text as it grows; `raw` is what a model here would have said, which says again what is typed."""

    raw: str
    started_s: float
    policy: str = "remote"
    finish_reason: FinishReason | None = None  # none of ours, and none of the server's
    first_token_s: float | None = None
    prompt_tokens: int | None = None
    reused_tokens: int | None = None
    tokens: list[CompletionToken] = field(default_factory=list)

    def read(self, site: Site, pieces: Iterable[Piece], *, least_chance: float, on_text: Callable[[str], None]) -> None:
        """Reads pieces until one of the rules, or the server, ends the text."""
        chance: float | None = 1.0  # that all of it is right; None where the server tells of none
        for piece in chain.from_iterable(map(one_by_one, pieces)):
            before, self.raw = self.raw, self.raw + piece.text
            self._note(piece)
            told = [each for _, each in piece.tokens if each is not None]
            chance = None if chance is None or len(told) < len(piece.tokens) else chance * math.prod(told)
            if piece.text and chance is not None:
                if site.is_doubted and is_doubtful(site, before, self.raw, chance):
                    self.finish_reason = FinishReason.DOUBT
                    return
                if chance < least_chance:
                    self.raw, self.finish_reason = before, FinishReason.UNLIKELY
                    return
            on_text(offered(site, self.raw, FinishReason.STOP))
            if (reason := ended_by_rules(site, self.raw) or piece.end) is not None:
                self.finish_reason = reason
                return

    def _note(self, piece: Piece) -> None:
        self.tokens += [CompletionToken(text=text, exit_layer=None) for text, _ in piece.tokens]
        if piece.text and self.first_token_s is None:
            self.first_token_s = time.perf_counter() - self.started_s
        self.prompt_tokens = self.prompt_tokens if piece.prompt_tokens is None else piece.prompt_tokens
        self.reused_tokens = self.reused_tokens if piece.reused_tokens is None else piece.reused_tokens
