"""One cursor and what may be offered there: from the text around it to a site, from decoded text to a suggestion.

Whoever decodes goes by the same rules: a model on this machine token by token, a server elsewhere piece by piece.
Strings only: it knows no tokens, no model and no connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from engine.completion.cleanup import is_complete, suggestion, without_half_line, without_half_word
from engine.completion.loops import loop_length
from engine.completion.prompt import behind_typed, prompt_for
from engine.completion.shape import shape_at
from engine.completion.words import is_word
from engine.completion.worth import saves_a_key
from engine.types import FinishReason

if TYPE_CHECKING:
    from engine.completion.prompt import Prompt
    from engine.completion.shape import Shape
    from engine.types import CompletionRequest, ProjectDocument

_MAY_CUT_A_WORD = frozenset({FinishReason.POLICY, FinishReason.LENGTH, FinishReason.UNLIKELY})
_SAYS_NOTHING = frozenset({FinishReason.CANCELLED, FinishReason.DOUBT})
_LEAST_CHANCE = 0.3  # of the first word, or of its rest; less is hardly ever right (engine/LOG.md, "Inside words")
_SEPARATORS = " \t\n,.:"  # that would lead to what is not said again


@dataclass(frozen=True, kw_only=True)
class Site:
    """One cursor: the document around it, what the model reads there, and what may be offered.

    Attributes:
        prefix: The document before the cursor.
        suffix: The document behind it, as far as the product would know it.
        prompt: What the model reads.
        is_ruled: Whether the product's rules end and cut the text; else all decoded text is offered, and the model,
            the policy and the length limit alone end it.
        single_line: Whether the text ends with its line; None decides by the text around it.
        language_id: The editor's name of the language; "" where that is not known.
        may_give_up: Whether a text whose first word is unlikely is given up where no word has been begun.
        in_project: The document in a project that has its say beside the model; None for the model alone.
    """

    prefix: str
    suffix: str
    prompt: Prompt
    is_ruled: bool = True
    single_line: bool | None = None
    language_id: str = ""
    may_give_up: bool = True
    in_project: ProjectDocument | None = None

    @cached_property
    def shape(self) -> Shape | None:
        """The form that a suggestion may take; None without rules. Told once it is asked for: it may take a while."""
        if not self.is_ruled:
            return None
        return shape_at(
            self.prefix, self.suffix, self.prompt, single_line=self.single_line, language_id=self.language_id
        )

    @property
    def is_doubted(self) -> bool:
        """Whether a text whose first word is unlikely is given up here."""
        return self.is_ruled and (is_word(self.prompt.typed[-1:]) or self.may_give_up)


def site_for(request: CompletionRequest, *, start: int | None = None) -> Site:
    """The site that a request names.

    Args:
        request: The place.
        start: Where in the text before the cursor the window begins; None for where the request's options say.
    """
    return Site(
        prefix=request.prefix,
        suffix=request.suffix,
        prompt=prompt_for(request, start=start),
        single_line=request.single_line,
        language_id=request.language_id,
        may_give_up=request.may_give_up,
        in_project=request.in_project,
    )


def offered(site: Site, raw: str, finish_reason: FinishReason) -> str:
    """What is offered at the cursor where the decoded text `raw` ended for this reason."""
    if finish_reason in _SAYS_NOTHING or not raw:
        return ""
    if site.shape is None:
        start = behind_typed(raw, site.prompt.typed)
        return "" if start is None else raw[start:]
    if finish_reason is FinishReason.REPETITION:
        raw = raw[: _loop_length(site, raw)].rstrip(_SEPARATORS)
    part = suggestion(raw, site.shape)
    if finish_reason is FinishReason.LENGTH:
        part = without_half_line(raw, part)
    if finish_reason in _MAY_CUT_A_WORD:
        part = without_half_word(raw, part, site.shape, site.prefix, site.suffix)
    return raw[part] if saves_a_key(raw[part]) else ""


def ended_by_rules(site: Site, raw: str) -> FinishReason | None:
    """Why the product's own rules end a text that has grown to `raw`; None where they do not, as without a shape."""
    if site.shape is None:
        return None
    if is_complete(raw, site.shape):
        return FinishReason.STOP
    return None if _loop_length(site, raw) is None else FinishReason.REPETITION


def is_doubtful(site: Site, before: str, raw: str, chance: float) -> bool:
    """Whether the first word, or what is left of it, is too unlikely to be shown as far as it is said.

    Args:
        site: One where `is_doubted` holds.
        before: The decoded text without its last token.
        raw: The decoded text.
        chance: The chance that all of it is right.
    """
    typed, said = len(site.prompt.typed), len(before)
    goes_on = said <= typed or all(map(is_word, raw[typed : said + 1]))
    return goes_on and chance < _LEAST_CHANCE


def _loop_length(site: Site, raw: str) -> int | None:
    before = site.prefix.removesuffix(site.prompt.typed)  # the rest is said again
    return loop_length(raw, head=before.rpartition("\n")[2], document=before)


def ignore_text(text: str) -> None:
    """Ignores the growing text: for callers that read only the whole answer."""
