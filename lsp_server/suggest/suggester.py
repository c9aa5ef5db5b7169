"""`Suggester`: what happens to one request, in order: known already, better not asked, waited for, computed.

It wires gate, cache and scheduler together and keeps no books: it calls back with what was reused or never asked. It
knows no LSP types; the time is the event loop's.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.completion.blocks import invites_lines
from engine.completion.lexical import part_at
from engine.sentences import Sentence
from engine.types import PROJECT_ALONE
from lsp_server.suggest.jobs import Unserved
from lsp_server.suggest.reasons import Reason
from lsp_server.suggest.request import completion_request
from lsp_server.suggest.reuse import Suggestion, SuggestionCache
from lsp_server.suggest.taken import OfferedText

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.outlook import Outlook
    from engine.types import CompletionRequest
    from lsp_server.context.documents import CursorContext
    from lsp_server.settings import Settings
    from lsp_server.suggest.gate import Gate
    from lsp_server.suggest.jobs import Computed, TypedSince
    from lsp_server.suggest.scheduler import CompletionScheduler


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request of the editor.

    Attributes:
        uri: The document.
        completion_id: What is computed for it shall be called so.
        context: The text around the cursor.
        is_invoked: True where the person asked for it by hand.
        typed_since: Says what has been typed at the place since; None where that cannot be known.
    """

    uri: str
    completion_id: str
    context: CursorContext
    is_invoked: bool
    typed_since: TypedSince | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _TextAround:
    """A cursor's place in a document, by the text around it."""

    prefix: str
    suffix: str

    def is_of(self, request: CompletionRequest) -> bool:
        """True where a request is asked at this very place; its window onto the document may begin later."""
        return bool(request.prefix) and self.prefix.endswith(request.prefix) and self.suffix == request.suffix


UNLIKELY = Reason(
    "skipped",
    Sentence(
        "A suggestion here is seldom kept, so none was asked for (greenCode.skipUnlikely); asking by hand gets one."
    ),
)
TYPED_ON = Reason("none", Sentence("Typing went on before there was an answer."))
_IN_COMMENTS = Sentence("Completions are off in comments (greenCode.inComments); asking by hand gets one.")
_IN_STRINGS = Sentence("Completions are off in strings (greenCode.inStrings); asking by hand gets one.")
NOTHING = Reason("nothing", Sentence("The model found nothing worth showing at this place."))


class Suggester:
    """Answers questions with as little work as it can.

    Whoever asks by hand is computed for at once. Else, in turn: text that is known already, parts of a file that are
    left alone, a computation under way that will do, the project, the gate, the model.

    Args:
        scheduler: Computes what must be computed.
        gate: Says when to ask it, and where not.
        on_reused: Called with (completion id, characters) where an earlier completion answered.
        on_skipped: Called where the engine was not asked.
    """

    def __init__(
        self,
        scheduler: CompletionScheduler,
        gate: Gate,
        *,
        on_reused: Callable[[str, int], None],
        on_skipped: Callable[[], None],
    ) -> None:
        self._scheduler = scheduler
        self._gate = gate
        self._on_reused = on_reused
        self._on_skipped = on_skipped
        self._cache = SuggestionCache()
        self._why_nothing: dict[str, Reason] = {}  # by URI
        self._outlooks: dict[str, tuple[str, Outlook | None]] = {}  # by URI: the text before the cursor, and what
        # the project, which is not sure, says behind it
        self._newest: dict[str, str] = {}  # completion id by URI
        self._offered: dict[str, tuple[OfferedText, _TextAround]] = {}  # by URI, and where its end would be
        self._accepted: dict[str, _TextAround] = {}  # by URI: where an accepted text ends that was not typed on yet

    async def suggest(self, question: Question, settings: Settings) -> Suggestion | None:
        """What to offer; None, or an empty text, for nothing.

        Raises:
            EngineError: The engine failed, in the user's words.
        """
        request = self._with_shape(question.uri, completion_request(question.context, settings))
        self._why_nothing[question.uri] = NOTHING
        suggestion = await self._answer(question, request, settings)
        if suggestion is not None and suggestion.text:
            end = _TextAround(prefix=request.prefix + suggestion.text, suffix=request.suffix)
            offer = OfferedText(
                completion_id=suggestion.completion_id, text=suggestion.text, typed_since=question.typed_since
            )
            self._offered[question.uri] = (offer, end)
        return suggestion

    def why_nothing(self, question: Question) -> Reason | None:
        """Why a question was answered with nothing; None where the engine was lost by it."""
        if not self._is_newest(question):
            return TYPED_ON
        return None if self._scheduler.engine is None else self._why_nothing.get(question.uri, NOTHING)

    def accept(self, completion_id: str) -> None:
        """Remembers where an accepted suggestion ends: several lines are welcome there.

        The editor says so before it asks at the new place. Anything typed there that is not what was found for it
        makes it a place like any other.
        """
        for uri, (offer, end) in self._offered.items():
            if offer.completion_id == completion_id:
                self._accepted[uri] = end

    def taken_by(self, uri: str, inserted: str) -> tuple[str, int] | None:
        """Whose text was taken in part by an insertion, and how many characters of it; None where none was."""
        if uri not in self._offered:
            return None
        offer, _ = self._offered[uri]
        n_chars = offer.taken_by(inserted)
        return (offer.completion_id, n_chars) if n_chars else None

    def note_key(self) -> None:
        """Tells the gate of a key struck now."""
        self._gate.note_key(time.monotonic())

    def keep(self, computed: Computed) -> None:
        """Keeps what was computed for later; that a project alone has nothing to say answers nobody."""
        is_of_model = computed.request.policy != PROJECT_ALONE
        if not is_of_model:
            self._outlooks[computed.uri] = computed.request.prefix, computed.completion.outlook
        if computed.text is None or not (computed.text or is_of_model):
            return
        suggestion = Suggestion(completion_id=computed.completion_id, text=computed.text)
        self._cache.keep(computed.uri, computed.request, suggestion)
        if is_of_model:
            self._gate.answered(computed.completion.elapsed_s)

    def forget(self, uri: str) -> None:
        """Drops what is known of, and asked in, a document."""
        self._cache.forget(uri)
        for known in (self._newest, self._offered, self._accepted, self._why_nothing, self._outlooks):
            known.pop(uri, None)
        self._scheduler.cancel(uri)

    def clear(self) -> None:
        """Drops what other settings or another model have answered."""
        self._cache.clear()

    def _with_shape(self, uri: str, request: CompletionRequest) -> CompletionRequest:
        """Asks for several lines behind an accepted suggestion, and where what was typed since is theirs."""
        accepted = self._accepted.get(uri)
        if accepted is None:
            return request
        several = replace(request, single_line=False)
        if accepted.is_of(request):
            return several if invites_lines(request.prefix, request.suffix) else request
        if self._scheduler.would_serve(uri, several):
            return several
        del self._accepted[uri]
        return request

    async def _answer(self, question: Question, request: CompletionRequest, settings: Settings) -> Suggestion | None:
        uri = question.uri
        self._newest[uri] = question.completion_id
        self._gate.cursor_at(request.prefix)
        goes_on = settings.reuse and self._scheduler.would_serve(uri, request)
        if not goes_on:
            self._scheduler.cancel(uri)  # the newest question wins, whoever answers it
        if question.is_invoked:
            return await self._compute_now(question, replace(request, may_give_up=False), settings)
        if settings.reuse and (known := self._cache.find(uri, request)) is not None:
            self._scheduler.cancel(uri)
            self._on_reused(known.completion_id, len(known.text))
            return known
        if unwanted := _unwanted_part(request, settings):
            self._why_nothing[uri] = unwanted
            return None
        return await (self._compute_now if goes_on else self._project_then_model)(question, request, settings)

    async def _compute_now(
        self, question: Question, request: CompletionRequest, settings: Settings
    ) -> Suggestion | None:
        answer = await self._schedule(question, request, settings)
        if isinstance(answer, Unserved):  # what was going on has turned out otherwise: now for this very question
            if not question.is_invoked:
                return await self._project_then_model(question, request, settings)
            answer = await self._schedule(question, request, settings)
        is_nothing = isinstance(answer, Suggestion) and not answer.text
        if is_nothing and question.is_invoked and request.in_project is not None:
            # Where other files end a line here the project says so; who asks by hand wants to know what might follow.
            answer = await self._schedule(question, replace(request, in_project=None), settings, suffix="-alone")
        return None if isinstance(answer, Unserved) else answer

    async def _project_then_model(
        self, question: Question, request: CompletionRequest, settings: Settings
    ) -> Suggestion | None:
        """Asks the project, which costs no energy to speak of, and else the model, when the gate says so."""
        now_s = time.monotonic()
        try:
            if (known := await self._from_project(question, request, settings)) is not None:
                return known
            wait_s = self._wait_s(question, request, settings, now_s)
            is_asked = wait_s is not None and await self._is_still_asked(question, now_s + wait_s)
        except asyncio.CancelledError:
            self._on_skipped()
            raise
        if not is_asked:
            if wait_s is None and self._is_newest(question):
                self._why_nothing[question.uri] = UNLIKELY
            self._on_skipped()
            return None
        answer = await self._schedule(question, request, settings)
        return None if isinstance(answer, Unserved) else answer

    def _wait_s(self, question: Question, request: CompletionRequest, settings: Settings, now_s: float) -> float | None:
        """How long to wait before the model is asked; None not to ask it."""
        prefix, outlook = self._outlooks.get(question.uri, ("", None))
        wait_s = self._gate.wait_s(
            question.context.prefix,
            now_s,
            settings.green_mode,
            outlook=outlook if prefix == request.prefix else None,
            may_skip=settings.skip_unlikely,
        )
        return wait_s if wait_s is None or settings.debounce_ms is None else settings.debounce_ms / 1000

    async def _from_project(
        self, question: Question, request: CompletionRequest, settings: Settings
    ) -> Suggestion | None:
        """What the project is sure of by itself; None where that is nothing, or where full depth is asked for."""
        if request.in_project is None or not request.green_mode or request.policy is not None:
            return None
        answer = await self._schedule(question, replace(request, policy=PROJECT_ALONE), settings, suffix="-project")
        return answer if isinstance(answer, Suggestion) and answer.text else None

    async def _is_still_asked(self, question: Question, until_s: float) -> bool:
        """Waits; False where a newer question came first."""
        wait_s = until_s - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        return self._is_newest(question)

    def _is_newest(self, question: Question) -> bool:
        return self._newest.get(question.uri) == question.completion_id

    async def _schedule(
        self, question: Question, request: CompletionRequest, settings: Settings, *, suffix: str = ""
    ) -> Suggestion | Unserved | None:
        typed_since = question.typed_since if settings.reuse else None
        name = question.completion_id + suffix
        return await self._scheduler.complete(question.uri, name, request, typed_since=typed_since)


def _unwanted_part(request: CompletionRequest, settings: Settings) -> Reason | None:
    """Why nothing is wanted in this part of a file; None where something is."""
    if settings.in_comments and settings.in_strings:
        return None
    part = part_at(request.prefix, request.language_id)
    if part == "comment" and not settings.in_comments:
        return Reason("off", _IN_COMMENTS)
    if part == "string" and not settings.in_strings:
        return Reason("off", _IN_STRINGS)
    return None
